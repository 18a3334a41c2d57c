// SPDX-License-Identifier: GPL-2.0-only
//! A simulated disk: latency, a volatile cache, errors on demand, and what a loss of power leaves of it.
//!
//! What was written is seen by reads at once, and durable after a flush that began later, or with FUA. At a loss of
//! power each write that is not durable, also one that was not answered yet, is kept, lost, or torn at sector size,
//! as the seed says. Its content outlives the node that used it.

#[cfg(test)]
mod tests;

use std::ffi::c_void;
use std::sync::Arc;

use mte::sim::Rng;
use parking_lot::Mutex;
use serde::Deserialize;
use umc::blkdev::{Disk, DiskLimits};
use umc::{Kernel, bio, sched, sys};

use crate::scenario::bounds;
use crate::stack::Stack;

/// Bytes of a sector.
pub const SECTOR: usize = 512;

/// What a disk is like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSpec {
    #[serde(deserialize_with = "bounds::within::<1, 4096, _, _>")]
    pub mib: u64,
    #[serde(deserialize_with = "bounds::within::<0, 1_000_000, _, _>")]
    pub latency_us: u64,
    /// Up to so much is added, drawn for each request.
    #[serde(deserialize_with = "bounds::within::<0, 1_000_000, _, _>")]
    pub jitter_us: u64,
    /// Is there a volatile cache?
    pub write_cache: bool,
    /// Unit of discards; 0 if it takes none.
    #[serde(deserialize_with = "bounds::within::<0, 1024, _, _>")]
    pub discard_kib: u64,
    /// What lies between it and DRBD.
    pub stack: Option<Stack>,
}

impl Default for DiskSpec {
    fn default() -> DiskSpec {
        DiskSpec {
            mib: 8,
            latency_us: 80,
            jitter_us: 100,
            write_cache: true,
            discard_kib: 0,
            stack: None,
        }
    }
}

/// A write that is not durable.
struct Volatile {
    number: u64,
    offset: usize,
    data: Vec<u8>,
    /// Sectors that a later write with FUA has replaced.
    replaced: Vec<bool>,
}

struct State {
    /// What reads see.
    seen: Vec<u8>,
    /// What survives a loss of power in any case.
    durable: Vec<u8>,
    volatile: Vec<Volatile>,
    /// Writes that were not answered yet, by number.
    started: Vec<(u64, usize, Vec<u8>)>,
    next_number: u64,
    /// Which life of the disk it is: what was started in an earlier one is never finished.
    generation: u64,
    failing: bool,
    flush_lies: bool,
    rng: Rng,
}

/// A disk. [`SimDisk::plug`] makes it a disk of a kernel.
pub struct SimDisk {
    spec: DiskSpec,
    state: Mutex<State>,
    /// The other disk of an array.
    mirror: Option<Arc<SimDisk>>,
}

impl State {
    fn make_durable(&mut self, below: u64) {
        let (done, rest) =
            self.volatile.drain(..).partition::<Vec<_>, _>(|write| write.number < below);
        self.volatile = rest;
        for write in done {
            for (index, sector) in write.data.chunks(SECTOR).enumerate() {
                if !write.replaced[index] {
                    let at = write.offset + index * SECTOR;
                    self.durable[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
    }

    fn finish_write(&mut self, number: u64, fua: bool) {
        let Some(at) = self.started.iter().position(|write| write.0 == number) else { return };
        let (_, offset, data) = self.started.remove(at);
        self.seen[offset..offset + data.len()].copy_from_slice(&data);
        if !fua {
            let replaced = vec![false; data.len() / SECTOR];
            // The number it ends with counts: a flush covers what had ended when it began.
            let number = self.take_number();
            self.volatile.push(Volatile { number, offset, data, replaced });
            return;
        }
        self.durable[offset..offset + data.len()].copy_from_slice(&data);
        for write in &mut self.volatile {
            for (index, replaced) in write.replaced.iter_mut().enumerate() {
                let sector = write.offset + index * SECTOR;
                *replaced |= (offset..offset + data.len()).contains(&sector);
            }
        }
    }

    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

impl SimDisk {
    /// A disk of zeroes; two for an array. `rng` gives each the numbers of its own.
    pub fn new(spec: DiskSpec, rng: impl Fn(&str) -> Rng) -> Arc<SimDisk> {
        let is_array = spec.stack == Some(Stack::Raid1);
        let mirror = is_array.then(|| SimDisk::alone(spec.clone(), rng(" mirror"), None));
        SimDisk::alone(spec, rng(""), mirror)
    }

    fn alone(spec: DiskSpec, rng: Rng, mirror: Option<Arc<SimDisk>>) -> Arc<SimDisk> {
        let bytes = (spec.mib << 20) as usize;
        let state = State {
            seen: vec![0; bytes],
            durable: vec![0; bytes],
            volatile: Vec::new(),
            started: Vec::new(),
            next_number: 0,
            generation: 0,
            failing: false,
            flush_lies: false,
            rng,
        };
        Arc::new(SimDisk { spec, state: Mutex::new(state), mirror })
    }

    /// Bytes of the disk that are DRBD's.
    pub fn len(&self) -> usize {
        let len = self.state.lock().seen.len();
        self.spec.stack.map_or(len, |stack| stack.usable(len))
    }

    /// What lies between it and DRBD.
    pub fn stack(&self) -> Option<Stack> {
        self.spec.stack
    }

    /// The other disk of an array.
    pub fn mirror(&self) -> Option<&Arc<SimDisk>> {
        self.mirror.as_ref()
    }

    /// Bytes of the unit of discards; 0 if it takes none.
    pub fn discard_unit(&self) -> u32 {
        (self.spec.discard_kib * 1024) as u32
    }

    /// Reads past the simulated time, as an offline tool.
    pub fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        self.state.lock().seen[offset..offset + len].to_vec()
    }

    /// Writes durably, past the simulated time, while no node uses the range.
    pub fn write(&self, offset: usize, data: &[u8]) {
        if let Some(mirror) = &self.mirror {
            mirror.write(offset, data);
        }
        let mut state = self.state.lock();
        state.make_durable(u64::MAX);
        state.seen[offset..offset + data.len()].copy_from_slice(data);
        state.durable[offset..offset + data.len()].copy_from_slice(data);
    }

    /// Makes all requests fail, or ends that; of an array those to the second disk.
    pub fn set_failing(&self, failing: bool) {
        match &self.mirror {
            Some(mirror) => mirror.set_failing(failing),
            None => self.state.lock().failing = failing,
        }
    }

    /// A planted fault: flushes, and FUA, are answered without making anything durable.
    pub fn set_flush_lies(&self) {
        if let Some(mirror) = &self.mirror {
            mirror.set_flush_lies();
        }
        self.state.lock().flush_lies = true;
    }

    /// The power goes. Returns how many writes were lost or torn.
    pub fn crash(&self) -> usize {
        let of_mirror = self.mirror.as_ref().map_or(0, |mirror| mirror.crash());
        let mut state = self.state.lock();
        let state = &mut *state;
        state.generation += 1;
        let mut volatile = std::mem::take(&mut state.volatile);
        volatile.extend(state.started.drain(..).map(|(number, offset, data)| {
            let replaced = vec![false; data.len() / SECTOR];
            Volatile { number, offset, data, replaced }
        }));
        let mut harmed = 0;
        for write in volatile {
            let fate = state.rng.below(3);
            harmed += usize::from(fate != 0);
            for (index, sector) in write.data.chunks(SECTOR).enumerate() {
                let is_kept = match fate {
                    0 => true,
                    1 => false,
                    _ => state.rng.below(2) == 0,
                };
                if is_kept && !write.replaced[index] {
                    let at = write.offset + index * SECTOR;
                    state.durable[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        state.seen.copy_from_slice(&state.durable);
        of_mirror + harmed
    }

    /// Makes it a disk of `kernel`.
    pub fn plug(self: &Arc<SimDisk>, kernel: &'static Kernel, name: &str) -> umc::Result<()> {
        let limits = DiskLimits {
            sectors: (self.state.lock().seen.len() / SECTOR) as u64,
            write_cache: self.spec.write_cache,
            fua: self.spec.write_cache,
            discard: self.spec.discard_kib > 0,
            discard_granularity: self.discard_unit(),
            ..Default::default()
        };
        let plugged = Plugged { kernel, disk: Arc::clone(self) };
        umc::blkdev::add_disk(kernel, name, Arc::new(plugged), limits)
    }
}

/// A disk in a kernel.
struct Plugged {
    kernel: &'static Kernel,
    disk: Arc<SimDisk>,
}

enum Work {
    Read { offset: usize },
    Write { number: u64, fua: bool },
    Flush { below: u64 },
}

/// A request on its way.
struct Request {
    kernel: &'static Kernel,
    disk: Arc<SimDisk>,
    bio: *mut sys::bio,
    generation: u64,
    work: Option<Work>,
}

impl Disk for Plugged {
    #[allow(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one contract: the bio of the block layer"
    )]
    fn submit_bio(&self, bio: *mut sys::bio) {
        // SAFETY: the block layer's contract: a bio that has not ended.
        let (op, flags, sector, size) =
            unsafe { (bio::op(bio), bio::flags(bio), bio::sector(bio), bio::size(bio) as usize) };
        let offset = sector as usize * SECTOR;
        let mut state = self.disk.state.lock();
        let is_inside = size == 0 || offset + size <= state.seen.len();
        let work = match op {
            _ if state.failing || !is_inside => None,
            bio::Op::Read => Some(Work::Read { offset }),
            bio::Op::Write | bio::Op::Discard if size > 0 => {
                // What was discarded reads as zeroes.
                let mut data = vec![0; size];
                if matches!(op, bio::Op::Write) {
                    // SAFETY: as above; a write carries `size` bytes.
                    unsafe { bio::copy_to(bio, &mut data) };
                }
                let number = state.take_number();
                state.started.push((number, offset, data));
                let is_durable = flags & sys::REQ_FUA != 0 && !state.flush_lies;
                Some(Work::Write { number, fua: is_durable || !self.disk.spec.write_cache })
            }
            bio::Op::Write | bio::Op::Other(sys::REQ_OP_FLUSH) => {
                Some(Work::Flush { below: if state.flush_lies { 0 } else { state.take_number() } })
            }
            _ => None,
        };
        let jitter = state.rng.below(self.disk.spec.jitter_us * 1000 + 1);
        let delay = self.disk.spec.latency_us * 1000 + jitter + size as u64;
        let generation = state.generation;
        drop(state);
        let (kernel, disk) = (self.kernel, Arc::clone(&self.disk));
        let request = Box::new(Request { kernel, disk, bio, generation, work });
        let deadline = self.kernel.ops.now_ns() + delay;
        // SAFETY: the box is the callback's, which runs once; if the host is killed it is leaked.
        unsafe { self.kernel.ops.timer_arm(deadline, answer, Box::into_raw(request).cast()) };
    }

    fn resize(&self, size: Option<u64>) -> Result<u64, String> {
        let mut state = self.disk.state.lock();
        let len = size.map_or(0, |size| size as usize).max(state.seen.len());
        state.seen.resize(len, 0);
        state.durable.resize(len, 0);
        Ok(len as u64)
    }
}

unsafe extern "C" fn answer(request: *mut c_void) {
    // SAFETY: `submit_bio` passes a box of this type, once.
    let request = unsafe { Box::from_raw(request.cast::<Request>()) };
    let mut state = request.disk.state.lock();
    if state.generation != request.generation {
        return;
    }
    let status = if state.failing || request.work.is_none() { bio::STS_IOERR } else { bio::STS_OK };
    match request.work {
        Some(Work::Write { number, fua }) if status == bio::STS_OK => {
            state.finish_write(number, fua);
        }
        Some(Work::Write { number, .. }) => state.started.retain(|write| write.0 != number),
        Some(Work::Flush { below }) if status == bio::STS_OK => state.make_durable(below),
        Some(Work::Read { offset }) if status == bio::STS_OK => {
            // SAFETY: the bio has not ended.
            let size = unsafe { bio::size(request.bio) } as usize;
            // SAFETY: as above, and it was checked to lie within the disk.
            unsafe { bio::copy_from(request.bio, &state.seen[offset..offset + size]) };
        }
        _ => {}
    }
    drop(state);
    // SAFETY: the bio came to this disk and is ended once.
    sched::with_kernel(request.kernel, || unsafe { bio::end(request.bio, status) });
}
