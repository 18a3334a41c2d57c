// SPDX-License-Identifier: GPL-2.0-only
//! The disk alone: what was answered with FUA, or before a flush that was answered, outlives a loss of power.

use mte::sim::{Outcome, Sim};
use umc::Config;
use umc::bdev::{self, Io};

use super::*;
use crate::load::{BLOCK, Model, transfer};

fn written(fua: bool) -> Arc<SimDisk> {
    let spec = DiskSpec { mib: 1, ..Default::default() };
    let disk = SimDisk::new(spec, |_| Rng::new(1, "disk"));
    let mut state = disk.state.lock();
    for index in 0..100 {
        let number = state.take_number();
        state.started.push((number, index * 1024, vec![1; 1024]));
        state.finish_write(number, fua);
    }
    drop(state);
    disk
}

#[test]
fn a_crash_loses_tears_and_keeps() {
    let disk = written(false);
    let harmed = disk.crash();
    let left: usize = disk.read(0, 100 * 1024).iter().map(|byte| usize::from(*byte)).sum();
    assert!((40..90).contains(&harmed), "{harmed}");
    assert!((30 * 1024..70 * 1024).contains(&left), "{left}");
}

#[test]
fn what_was_flushed_or_fua_stays() {
    let disk = written(false);
    disk.state.lock().make_durable(u64::MAX);
    assert_eq!(disk.crash(), 0);
    assert!(disk.read(0, 100 * 1024).iter().all(|byte| *byte == 1));
    let disk = written(true);
    assert_eq!(disk.crash(), 0);
    assert!(disk.read(0, 100 * 1024).iter().all(|byte| *byte == 1));
}

/// Writers of a kernel without any driver, and a loss of power at a time that the seed chooses.
fn lose_power(seed: u64, lies: bool) -> Outcome {
    const WRITERS: usize = 4;
    let sim = Sim::new(seed);
    let disk = SimDisk::new(DiskSpec { mib: 1, ..Default::default() }, |_| sim.rng("disk"));
    if lies {
        disk.set_flush_lies();
    }
    let blocks = disk.len() / BLOCK;
    let model = Model::new(blocks);
    sim.add_host(1, &["10.0.0.1".parse().expect("an address")]);
    sim.run(|| {
        let (there, known) = (Arc::clone(&disk), Arc::clone(&model));
        sim.spawn(1, "boot", move || {
            let kernel = Kernel::boot(Config { name: "a".into(), ..Default::default() });
            sched::attach(kernel, "boot");
            there.plug(kernel, "d0").expect("a disk");
            let devt = umc::blkdev::disks(kernel)[0].devt;
            for place in 0..WRITERS {
                let (model, mut rng) = (Arc::clone(&known), sim.rng(&format!("writer {place}")));
                sim.spawn(1, "writer", move || {
                    sched::attach(kernel, "writer");
                    let device = bdev::open(kernel, devt, true, None).expect("the disk opens");
                    loop {
                        let share = blocks / WRITERS;
                        let first = place * share + rng.below(share as u64) as usize;
                        let (offset, fua) = ((first * BLOCK) as u64, rng.one_in(4));
                        let (issued, data) = model.issue(first, 1).expect("memory");
                        let write = Io::Write { offset, data, len: BLOCK, fua };
                        let is_ok = transfer(&device, write).is_ok();
                        model.answered(&issued, fua, is_ok);
                        let acked = model.acked();
                        if rng.one_in(4) && transfer(&device, Io::Flush).is_ok() {
                            model.flushed(&acked);
                        }
                    }
                });
            }
        });
        sim.sleep(1_000_000 + sim.rng("crash").below(20_000_000));
        sim.kill_host(1);
        disk.crash();
        model.crashed();
        let flushes = model.flushes.load(std::sync::atomic::Ordering::Relaxed);
        if let Err(why) =
            model.check(0, &disk.read(0, disk.len()), &model.lowest(0, model.len(), true))
        {
            mte::sim::fail(&format!("after {flushes} flushes: {why}"));
        }
    })
}

#[test]
fn what_a_kernel_was_told_to_be_safe_outlives_a_crash() {
    (0..100).for_each(|seed| drop(lose_power(seed, false).expect_ok()));
}

#[test]
fn a_disk_that_lies_does_not_pass() {
    let failed = (0..20).filter(|seed| !lose_power(*seed, true).is_ok()).count();
    assert!(failed >= 15, "{failed} of 20");
}
