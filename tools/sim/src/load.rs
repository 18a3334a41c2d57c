// SPDX-License-Identifier: GPL-2.0-only
//! The applications on a Primary.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mte::sim::{Rng, Sim};
use parking_lot::Mutex;
use umc::Devt;
use umc::bdev::{self, Bdev, Io, IoDone};
use umc::completion::Completion;
use umc::sched;

use crate::node::{Node, Running};
use crate::scenario::LoadSpec;
pub use model::{BLOCK, Model};

/// The number of DRBD's device 0; the others follow.
const DRBD_MAJOR: u32 = 147;

/// Submits and waits.
pub(crate) fn transfer(device: &Bdev, io: Io) -> umc::Result<IoDone> {
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
        let (sim, stop) = (node.sim, Arc::new(AtomicBool::new(false)));
        let start = |(volume, model): (usize, &Arc<Model>)| {
            let (kernel, model, spec) = (running.kernel, Arc::clone(model), spec.clone());
            let stop = Arc::clone(&stop);
            sim.spawn(node.host, "load", move || {
                sched::attach(kernel, "load");
                let device =
                    match bdev::open(kernel, Devt::new(DRBD_MAJOR, volume as u32), true, None) {
                        Ok(device) => Arc::new(device),
                        Err(errno) => {
                            let text = format!("load cannot open volume {volume}: {errno}");
                            return mte::sim::trace(&text);
                        }
                    };
                let host = mte::sim::host();
                let share = model.len() / spec.writers as usize;
                let part = |index: usize| match spec.shared_blocks as usize {
                    0 => index * share..(index + 1) * share,
                    shared => 0..shared.min(model.len()),
                };
                let writers: Vec<_> = (0..spec.writers as usize)
                    .map(|index| {
                        let writer = Writer {
                            sim,
                            model: Arc::clone(&model),
                            device: Arc::clone(&device),
                            stop: Arc::clone(&stop),
                            spec: spec.clone(),
                            blocks: part(index),
                            rng: sim.rng(&format!("writer {index} of {volume} in life {life}")),
                        };
                        sim.spawn(host, "writer", move || {
                            sched::attach(kernel, "writer");
                            writer.run();
                        })
                    })
                    .collect();
                writers.into_iter().for_each(|writer| sim.join(writer));
            })
        };
        Load { tasks: models.iter().enumerate().map(start).collect(), stop, sim }
    }

    /// The writers begin nothing new.
    pub fn finish(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Ends the writers and waits for what they wait for.
    pub fn stop(self) {
        self.finish();
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
        let span = self.blocks.len() as u64;
        let count = (1 + self.rng.below(self.spec.blocks_max)).min(span);
        let first = self.blocks.start + self.rng.below(span - count + 1) as usize;
        let (count, offset) = (count as usize, (first * BLOCK) as u64);
        let fua = self.rng.one_in(self.spec.fua_one_in);
        let Some((write, data)) = self.model.issue(first, count) else { return };
        let len = count * BLOCK;
        let result = transfer(&self.device, Io::Write { offset, data, len, fua });
        self.model.answered(&write, fua, result.is_ok());
        if self.rng.one_in(self.spec.flush_one_in) {
            let acked = self.model.acked();
            if transfer(&self.device, Io::Flush).is_ok() {
                self.model.flushed(&acked);
            }
        }
        if self.rng.one_in(self.spec.read_one_in) {
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
