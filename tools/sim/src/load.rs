//! The applications on the Primary, and the model of what they may expect of their data.
//!
//! A sector of the device holds the number of the write that it came from, counted for each block. A write that was
//! answered and followed by an answered flush must not be lost; what came later may be there or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mte::sim::{Rng, Sim};
use parking_lot::Mutex;
use umc::bdev::{self, Bdev, Io, IoDone};
use umc::completion::Completion;
use umc::mm::PageBuf;
use umc::sched;

use crate::disk::SECTOR;
use crate::node::{Node, Running};
use crate::scenario::LoadSpec;

/// Bytes of a block.
pub const BLOCK: usize = 4096;
/// The number of DRBD's device 0.
const DRBD0: u32 = 147 << 20;

/// What is known of a block. Numbers of writes; 0 is how the device began.
#[derive(Clone, Copy, Default)]
struct Block {
    issued: u64,
    acked: u64,
    durable: u64,
    /// Reads must see exactly `acked`: nothing failed, and no crash came since.
    is_certain: bool,
}

/// What is known of the device.
pub struct Model {
    blocks: Mutex<Vec<Block>>,
    /// Answered writes, failed writes, flushes, and reads that were compared.
    pub writes: AtomicU64,
    pub errors: AtomicU64,
    pub flushes: AtomicU64,
    pub reads: AtomicU64,
    started: AtomicU64,
}

/// What a sector holds after write `number` of its block.
fn fill_sector(sector: &mut [u8], index: u64, number: u64) {
    let mut word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    sector[..8].copy_from_slice(&index.to_le_bytes());
    sector[8..16].copy_from_slice(&number.to_le_bytes());
    for chunk in sector[16..].chunks_exact_mut(8) {
        word = (word ^ (word >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

/// The number of the write that a sector came from; None if it holds something else.
fn number_of(sector: &[u8], index: u64) -> Option<u64> {
    if sector.iter().all(|byte| *byte == 0) {
        return Some(0);
    }
    let number = u64::from_le_bytes(sector[8..16].try_into().ok()?);
    let mut expected = [0; SECTOR];
    fill_sector(&mut expected, index, number);
    (number > 0 && sector == expected).then_some(number)
}

impl Model {
    /// A device of zeroes.
    pub fn new(blocks: usize) -> Arc<Model> {
        let block = Block { is_certain: true, ..Default::default() };
        Arc::new(Model {
            blocks: Mutex::new(vec![block; blocks]),
            writes: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            started: AtomicU64::new(0),
        })
    }

    /// The Primary lost power: what was not flushed may be gone, and a later flush does not bring it back.
    pub fn crashed(&self) {
        for block in self.blocks.lock().iter_mut() {
            block.is_certain = block.is_certain && block.issued == block.durable;
            block.acked = block.durable;
        }
    }

    /// Compares `data`, read from block `first` on. With `exact`, certain blocks must hold their last write.
    pub fn check(&self, first: usize, data: &[u8], exact: bool) -> Result<(), String> {
        let blocks = self.blocks.lock();
        for (offset, sector) in data.chunks_exact(SECTOR).enumerate() {
            let at = first + offset / (BLOCK / SECTOR);
            let index = (first * BLOCK / SECTOR + offset) as u64;
            let block = blocks[at];
            let Some(number) = number_of(sector, index) else {
                return Err(format!("sector {index} holds what was never written there"));
            };
            let lowest = if exact && block.is_certain { block.acked } else { block.durable };
            if number < lowest || number > block.issued {
                return Err(format!(
                    "sector {index} holds write {number} of its block, but {} were issued, {} \
                     answered, {} flushed",
                    block.issued, block.acked, block.durable
                ));
            }
        }
        Ok(())
    }

    fn issue(&self, first: usize, count: usize) -> Option<PageBuf> {
        let mut data = PageBuf::new(count * BLOCK).ok()?;
        let mut blocks = self.blocks.lock();
        for (offset, sector) in
            data.as_mut_slice()[..count * BLOCK].chunks_exact_mut(SECTOR).enumerate()
        {
            let block = &mut blocks[first + offset / (BLOCK / SECTOR)];
            block.issued += u64::from(offset.is_multiple_of(BLOCK / SECTOR));
            fill_sector(sector, (first * BLOCK / SECTOR + offset) as u64, block.issued);
        }
        Some(data)
    }

    fn answered(&self, first: usize, count: usize, is_ok: bool) {
        for block in &mut self.blocks.lock()[first..first + count] {
            if is_ok {
                block.acked = block.issued;
            }
            block.is_certain = is_ok;
        }
        let counter = if is_ok { &self.writes } else { &self.errors };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn acked(&self) -> Vec<u64> {
        self.blocks.lock().iter().map(|block| block.acked).collect()
    }

    fn flushed(&self, acked: &[u64]) {
        for (block, acked) in self.blocks.lock().iter_mut().zip(acked) {
            block.durable = block.durable.max(*acked);
        }
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Submits and waits.
fn transfer(device: &Bdev, io: Io) -> umc::Result<IoDone> {
    let done = Arc::new((Completion::new(), Mutex::new(None)));
    let reply = Arc::clone(&done);
    device.submit(
        io,
        Box::new(move |result| {
            *reply.1.lock() = Some(result);
            reply.0.complete();
        }),
    );
    done.0.wait();
    done.1.lock().take().expect("a completion comes with its result")
}

/// The applications of one life of a Primary.
pub struct Load {
    tasks: Vec<mte::sim::TaskId>,
    stop: Arc<AtomicBool>,
    sim: Sim,
}

struct Writer {
    sim: Sim,
    model: Arc<Model>,
    device: Arc<Bdev>,
    stop: Arc<AtomicBool>,
    spec: LoadSpec,
    blocks: std::ops::Range<u64>,
    rng: Rng,
}

impl Load {
    /// Starts the writers on a Primary. `life` tells the streams of random numbers apart.
    pub fn start(
        node: &Node,
        running: &Running,
        model: &Arc<Model>,
        spec: &LoadSpec,
        life: u32,
    ) -> Load {
        let (sim, stop) = (node.sim, Arc::new(AtomicBool::new(false)));
        let (kernel, model, spec) = (running.kernel, Arc::clone(model), spec.clone());
        let opener_stop = Arc::clone(&stop);
        let opener = sim.spawn(node.host, "load", move || {
            sched::attach(kernel, "load");
            let device = match bdev::open(kernel, DRBD0, true, None) {
                Ok(device) => Arc::new(device),
                Err(errno) => return mte::sim::trace(&format!("load cannot open: {errno}")),
            };
            let blocks = model.blocks.lock().len() as u64;
            let share = blocks / spec.writers as u64;
            let host = mte::sim::host();
            let writers: Vec<_> = (0..spec.writers as u64)
                .map(|index| {
                    let writer = Writer {
                        sim,
                        model: Arc::clone(&model),
                        device: Arc::clone(&device),
                        stop: Arc::clone(&opener_stop),
                        spec: spec.clone(),
                        blocks: index * share..(index + 1) * share,
                        rng: sim.rng(&format!("writer {index} of life {life}")),
                    };
                    sim.spawn(host, "writer", move || {
                        sched::attach(kernel, "writer");
                        writer.run();
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| sim.join(writer));
        });
        Load { tasks: vec![opener], stop, sim }
    }

    /// Ends the writers and waits for what they wait for.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.into_iter().for_each(|task| self.sim.join(task));
    }
}

impl Writer {
    fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let is_limited = self.spec.writes > 0;
            if is_limited && self.model.started.load(Ordering::SeqCst) >= self.spec.writes {
                return;
            }
            self.model.started.fetch_add(1, Ordering::SeqCst);
            self.write();
            let pause = self.rng.below(2 * self.spec.pause_us * 1000 + 1);
            self.sim.sleep(pause);
        }
    }

    fn write(&mut self) {
        let span = self.blocks.end - self.blocks.start;
        let count = (1 + self.rng.below(self.spec.blocks_max)).min(span);
        let first = (self.blocks.start + self.rng.below(span - count + 1)) as usize;
        let (count, offset) = (count as usize, (first * BLOCK) as u64);
        let Some(data) = self.model.issue(first, count) else { return };
        let len = count * BLOCK;
        let result = transfer(&self.device, Io::Write { offset, data, len, fua: false });
        self.model.answered(first, count, result.is_ok());
        if self.rng.one_in(self.spec.flush_one_in) {
            let acked = self.model.acked();
            if transfer(&self.device, Io::Flush).is_ok() {
                self.model.flushed(&acked);
            }
        }
        if self.rng.one_in(self.spec.read_one_in)
            && let Ok(IoDone::Read(data)) = transfer(&self.device, Io::Read { offset, len })
        {
            self.model.reads.fetch_add(1, Ordering::Relaxed);
            if let Err(why) = self.model.check(first, &data.as_slice()[..len], true) {
                mte::sim::fail(&format!("a read returned wrong data: {why}"));
            }
        }
    }
}
