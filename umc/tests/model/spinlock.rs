// SPDX-License-Identifier: GPL-2.0-only
//! Spinlocks and reader-writer spinlocks: `linux/spinlock.h`, `linux/rwlock.h`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::mutex::add_slowly;

/// One holds it at a time, whatever the variants that are mixed.
#[test]
fn one_holds_it() {
    holds(1000, |world| {
        let lock = Shared::new(sys::raw_spinlock_t::default());
        let number = leak(AtomicU64::new(0));
        let threads = [0, 1, 2, 3].map(|way| {
            world.thread("holder", move || {
                for _ in 0..2 {
                    world.nap(2 * US);
                    let flags = match way {
                        0 => c!(_raw_spin_lock_irqsave(lock.get())),
                        1 => {
                            c!(_raw_spin_lock(lock.get()));
                            0
                        }
                        2 => {
                            c!(_raw_spin_lock_bh(lock.get()));
                            0
                        }
                        _ => {
                            while c!(_raw_spin_trylock(lock.get())) == 0 {
                                world.sim.sleep(US);
                            }
                            0
                        }
                    };
                    add_slowly(number);
                    // The host takes the processor away from the holder.
                    world.nap(US);
                    match way {
                        0 => c!(_raw_spin_unlock_irqrestore(lock.get(), flags)),
                        2 => c!(_raw_spin_unlock_bh(lock.get())),
                        _ => c!(_raw_spin_unlock(lock.get())),
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(number.load(SeqCst), 8);
        assert!(!c!(umc_raw_spin_is_locked(lock.get())));
    });
}

/// Whoever gets the lock next may free it: the unlock before touches it no more.
#[test]
fn the_next_owner_may_free_it() {
    holds(1000, |world| {
        let lock = Shared::new(sys::raw_spinlock_t::default());
        let users = leak(AtomicU64::new(3));
        let threads = [(); 3].map(|()| {
            world.thread("user", move || {
                world.nap(3 * US);
                c!(_raw_spin_lock(lock.get()));
                mte::sim::preempt_point();
                let is_last = users.fetch_sub(1, SeqCst) == 1;
                c!(_raw_spin_unlock(lock.get()));
                if is_last {
                    world.free(lock);
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
    });
}

/// One writer, or any number of readers. In interrupt context, and with soft interrupts off, they nest even while a writer
/// waits; other readers wait behind it, as on Linux.
#[test]
fn a_writer_excludes_readers_that_nest() {
    holds(1000, |world| {
        let lock = Shared::new(sys::rwlock_t::default());
        let numbers = leak([const { AtomicU64::new(0) }; 2]);
        let threads = [0, 1, 2, 3].map(|way| {
            world.thread(["reader", "writer"][way % 2], move || {
                for _ in 0..2 {
                    world.nap(2 * US);
                    if way % 2 == 1 {
                        c!(_raw_write_lock(lock.get()));
                        numbers.iter().for_each(add_slowly);
                        c!(_raw_write_unlock(lock.get()));
                        continue;
                    }
                    c!(_raw_read_lock(lock.get()));
                    let first = numbers[0].load(SeqCst);
                    world.nap(2 * US);
                    c!(_raw_read_lock_bh(lock.get()));
                    assert_eq!(first, numbers[1].load(SeqCst), "a writer is at work");
                    c!(_raw_read_unlock_bh(lock.get()));
                    c!(_raw_read_unlock(lock.get()));
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(numbers.each_ref().map(|number| number.load(SeqCst)), [4, 4]);
    });
}
