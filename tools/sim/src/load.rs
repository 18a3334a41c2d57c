// SPDX-License-Identifier: GPL-2.0-only
//! The applications on a Primary.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mte::sim::{Rng, Sim};
use parking_lot::Mutex;
use umc::bdev::{self, Bdev, Io, IoDone};
use umc::completion::Completion;
use umc::sched;
use umc::{Devt, Kernel};

use crate::node::{Node, Running};
use crate::scenario::LoadSpec;
pub use model::{BLOCK, Model, writes_in};

/// The number of DRBD's device 0; the others follow.
const DRBD_MAJOR: u32 = 147;

/// Submits and waits.
pub(crate) fn transfer(device: &Bdev, io: Io) -> umc::Result<IoDone> {
    let done = Arc::new((Completion::new(), Mutex::new(None)));
    let reply = Arc::clone(&done);
    device.submit(io, move |result| {
        *reply.1.lock() = Some(result);
        reply.0.complete();
    });
    done.0.wait();
    done.1.lock().take().expect("a completion comes with its result")
}

/// How many writes a writer of a Primary still tries that is lost to its cluster.
const LAST_WRITES: usize = 3;

/// What is to become of applications.
#[derive(Default)]
struct Fate {
    stop: AtomicBool,
    /// The data are another Primary's by now.
    is_lost: AtomicBool,
    /// Volumes whose applications have ended.
    ended: AtomicUsize,
}

/// The applications of one life of a Primary.
pub struct Load {
    tasks: Vec<mte::sim::TaskId>,
    fate: Arc<Fate>,
    sim: Sim,
}

/// The applications of a volume.
struct Volume {
    sim: Sim,
    number: u32,
    model: Arc<Model>,
    spec: LoadSpec,
    fate: Arc<Fate>,
    life: u32,
}

struct Writer {
    sim: Sim,
    model: Arc<Model>,
    device: Arc<Bdev>,
    fate: Arc<Fate>,
    spec: LoadSpec,
    blocks: std::ops::Range<usize>,
    rng: Rng,
}

impl Load {
    /// Starts the writers of each volume on a Primary. `life` tells the streams of random numbers apart.
    pub fn start(
        node: &Node,
        running: &Running,
        models: &[Arc<Model>],
        spec: &LoadSpec,
        life: u32,
    ) -> Load {
        let (sim, fate) = (node.sim, Arc::new(Fate::default()));
        let start = |(number, model): (usize, &Arc<Model>)| {
            let kernel = running.kernel;
            let (model, spec, fate) = (Arc::clone(model), spec.clone(), Arc::clone(&fate));
            let volume = Volume { sim, number: number as u32, model, spec, fate, life };
            sim.spawn(node.host, "load", move || {
                sched::attach(kernel, "load");
                volume.run(kernel);
                volume.fate.ended.fetch_add(1, Ordering::SeqCst);
            })
        };
        Load { tasks: models.iter().enumerate().map(start).collect(), fate, sim }
    }

    /// The writers begin nothing new.
    pub fn finish(&self) {
        self.fate.stop.store(true, Ordering::SeqCst);
    }

    /// The cluster goes on without this Primary: the writers try a few writes more, and end. They read and flush no more,
    /// for what is there now is not theirs.
    pub fn lose(&self) {
        self.fate.is_lost.store(true, Ordering::SeqCst);
    }

    /// Whether all have ended.
    pub fn is_over(&self) -> bool {
        self.fate.ended.load(Ordering::SeqCst) == self.tasks.len()
    }

    /// Ends the writers and waits for what they wait for.
    pub fn stop(self) {
        self.finish();
        self.tasks.into_iter().for_each(|task| self.sim.join(task));
    }
}

impl Volume {
    /// Opens the device, and lets the writers run until they end.
    fn run(&self, kernel: &'static Kernel) {
        let (number, sim) = (self.number, self.sim);
        let device = match bdev::open(kernel, Devt::new(DRBD_MAJOR, number), true, None) {
            Ok(device) => Arc::new(device),
            Err(errno) => {
                return mte::sim::trace(&format!("load cannot open volume {number}: {errno}"));
            }
        };
        let host = mte::sim::host();
        let share = self.model.len() / self.spec.writers as usize;
        let part = |index: usize| match self.spec.shared_blocks as usize {
            0 => index * share..(index + 1) * share,
            shared => 0..shared.min(self.model.len()),
        };
        let start = |index: usize| {
            let writer = Writer {
                sim,
                model: Arc::clone(&self.model),
                device: Arc::clone(&device),
                fate: Arc::clone(&self.fate),
                spec: self.spec.clone(),
                blocks: part(index),
                rng: sim.rng(&format!("writer {index} of {number} in life {}", self.life)),
            };
            sim.spawn(host, "writer", move || {
                sched::attach(kernel, "writer");
                writer.run();
            })
        };
        let writers: Vec<_> = (0..self.spec.writers as usize).map(start).collect();
        writers.into_iter().for_each(|writer| sim.join(writer));
    }
}

impl Writer {
    fn run(mut self) {
        let mut last = LAST_WRITES;
        while !self.fate.stop.load(Ordering::SeqCst) && last > 0 {
            let is_limited = self.spec.writes > 0;
            if is_limited && self.model.started.load(Ordering::SeqCst) >= self.spec.writes {
                return;
            }
            last -= usize::from(self.is_lost());
            self.model.started.fetch_add(1, Ordering::SeqCst);
            self.write();
            let pause = self.rng.below(2 * self.spec.pause_us * 1000 + 1);
            self.sim.sleep(pause);
        }
    }

    fn is_lost(&self) -> bool {
        self.fate.is_lost.load(Ordering::SeqCst)
    }

    fn write(&mut self) {
        let span = self.blocks.len() as u64;
        let count = (1 + self.rng.below(self.spec.blocks_max)).min(span);
        let first = self.blocks.start + self.rng.below(span - count + 1) as usize;
        let (count, offset) = (count as usize, (first * BLOCK) as u64);
        let fua = self.rng.one_in(self.spec.fua_one_in);
        let Some((write, data)) = self.model.issue(first, count) else { return };
        let len = count * BLOCK;
        mte::sim::trace(&format!("{write} begins"));
        let result = transfer(&self.device, Io::Write { offset, data, len, fua });
        self.model.answered(&write, fua, result.is_ok());
        let end = if result.is_ok() { "answered" } else { "failed" };
        mte::sim::trace(&format!("{write} is {end}"));
        if self.rng.one_in(self.spec.flush_one_in) && !self.is_lost() {
            let acked = self.model.acked();
            if transfer(&self.device, Io::Flush).is_ok() {
                self.model.flushed(&acked);
            }
        }
        if self.rng.one_in(self.spec.read_one_in) && !self.is_lost() {
            let lowest = self.model.lowest(first, count, true);
            let Ok(IoDone::Read(data)) = transfer(&self.device, Io::Read { offset, len }) else {
                return;
            };
            self.model.reads.fetch_add(1, Ordering::Relaxed);
            if let Err(why) = self.model.check(first, &data.as_slice()[..len], &lowest) {
                mte::sim::fail(&format!("a read returned wrong data: {why}"));
            }
        }
    }
}
