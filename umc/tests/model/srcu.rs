// SPDX-License-Identifier: GPL-2.0-only
//! Sleepable read-copy-update: `linux/srcu.h`.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};

use umc::sys;

use crate::abi::c;
use crate::harness::*;

type Pointer = &'static AtomicPtr<AtomicU64>;

const LIVE: u64 = 0x11fe;

fn object() -> *mut AtomicU64 {
    Shared::new(AtomicU64::new(LIVE)).get()
}

/// A section, with sleeps in it: what it finds stays alive until its end.
fn read(world: &World, srcu: Shared<sys::srcu_struct>, pointer: Pointer) {
    let index = c!(__srcu_read_lock(srcu.get()));
    let found = pointer.load(SeqCst);
    for _ in 0..2 {
        world.nap(2 * US);
        // SAFETY: never unmapped.
        assert_eq!(unsafe { (*found).load(SeqCst) }, LIVE, "a reader sees what was freed");
    }
    c!(__srcu_read_unlock(srcu.get(), index));
}

/// No reader sees what was freed after `synchronize_srcu`, though readers sleep and two threads wait for them.
#[test]
fn no_reader_sees_what_was_freed() {
    holds(1000, |world| {
        let srcu = Shared::new(sys::srcu_struct::default());
        c!(init_srcu_struct(srcu.get()));
        let pointer: Pointer = leak(AtomicPtr::new(object()));
        let readers = [0, 1, 2].map(|_| {
            world.thread("reader", move || (0..3).for_each(|_| read(world, srcu, pointer)))
        });
        let replace = move || {
            let old = pointer.swap(object(), SeqCst);
            c!(synchronize_srcu(srcu.get()));
            // SAFETY: never unmapped.
            unsafe { (*old).store(0, SeqCst) };
        };
        let writer = world.thread("writer", move || {
            for _ in 0..2 {
                world.nap(2 * US);
                replace();
            }
        });
        replace();
        writer.join();
        readers.into_iter().for_each(|reader| reader.join());
        c!(cleanup_srcu_struct(srcu.get()));
        world.free(srcu);
    });
}

/// `synchronize_srcu` waits neither for readers that come later nor for those of another one.
#[test]
fn other_readers_do_not_hold_it_up() {
    holds(500, |world| {
        let [srcu, other] = [0, 1].map(|_| Shared::new(sys::srcu_struct::default()));
        let (turn, over) = (leak(AtomicU64::new(0)), leak(AtomicBool::new(false)));
        let readers = [0, 1].map(|mine| {
            world.thread("reader", move || {
                while !over.load(SeqCst) {
                    let index = c!(__srcu_read_lock(srcu.get()));
                    turn.store(mine, SeqCst);
                    // Until the other one is inside.
                    while turn.load(SeqCst) == mine && !over.load(SeqCst) {
                        world.sim.sleep(US);
                    }
                    c!(__srcu_read_unlock(srcu.get(), index));
                }
            })
        });
        let index = c!(__srcu_read_lock(other.get()));
        world.nap(10 * US);
        c!(synchronize_srcu(srcu.get()));
        over.store(true, SeqCst);
        c!(__srcu_read_unlock(other.get(), index));
        readers.into_iter().for_each(|reader| reader.join());
    });
}
