// SPDX-License-Identifier: GPL-2.0-only
//! Reader-writer spinlocks.
//!
//! C header: `include/linux/rwlock.h` (API of 6.12).
//! Guarantees kept: one writer or any number of readers; a section is an RCU reader, as in Linux. The lock may be freed
//! by whoever gets it next. A writer that waits stops new readers, so a reader may not nest in a reader; in interrupt
//! context and with soft interrupts off it may: such a reader only waits for a writer that has the lock.
//! Differs from Linux: who waits long parks; those behind the first are in the order of a spin lock.
//! Used by DRBD for: `sk->sk_callback_lock`.

pub(crate) mod abi;

use std::sync::atomic::{AtomicU32, Ordering};

use mte::{NEVER, Ops};

use crate::sched::Task;
use crate::sched::raw_spin::RawSpin;
use crate::{context, sys};

const WRITER: u32 = 1 << 31;
/// Somebody may be parked on the word.
const PARKED: u32 = 1 << 30;
/// The writer that is next waits for the readers to leave.
const WAITING: u32 = 1 << 29;
const SPINS: u32 = 200;

/// `rwlock_t`: the number of readers and the bits above, and the lock that makes one of those who wait the next.
#[repr(C)]
pub(crate) struct RwSpin {
    word: AtomicU32,
    next: RawSpin,
    /// Set before anybody knows the lock.
    written: Option<unsafe extern "C" fn(*mut sys::rwlock_t)>,
}

const _: () = assert!(size_of::<RwSpin>() == size_of::<sys::rwlock_t>());
const _: () = assert!(align_of::<RwSpin>() <= align_of::<sys::rwlock_t>());

impl RwSpin {
    /// An unlocked one.
    #[cfg(test)]
    const fn new() -> RwSpin {
        RwSpin { word: AtomicU32::new(0), next: RawSpin::new(), written: None }
    }

    /// # Safety
    /// `lock` is valid for as long as the result is used.
    unsafe fn from_sys<'a>(lock: *mut sys::rwlock_t) -> &'a RwSpin {
        // SAFETY: the caller's contract; the layouts agree (asserted above) and all zero is an unlocked lock.
        unsafe { &*lock.cast::<RwSpin>() }
    }

    /// A writer leaves the lock of a driver; whoever wants to know what it wrote looks at it first.
    ///
    /// # Safety
    /// The caller holds `lock` for writing.
    unsafe fn write_unlock_sys(lock: *mut sys::rwlock_t, task: &Task) {
        // SAFETY: the caller's contract.
        let spin = unsafe { RwSpin::from_sys(lock) };
        if let Some(written) = spin.written {
            // SAFETY: who set it expects this lock, held for writing.
            unsafe { written(lock) };
        }
        spin.write_unlock(task);
    }

    /// Replaces the word by what `next` makes of it; false when it makes nothing.
    fn try_change(&self, next: impl Fn(u32) -> Option<u32>) -> bool {
        self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).is_ok()
    }

    /// Waits until `next` accepts the word, with the bits `mark` set in it.
    #[cold]
    fn change(&self, ops: &Ops, mark: u32, next: impl Fn(u32) -> Option<u32>) {
        if ops.is_simulated == 0 {
            for _ in 0..SPINS {
                if self.try_change(&next) {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        while !self.try_change(&next) {
            let word = self.word.load(Ordering::Relaxed);
            if next(word).is_some() {
                continue;
            }
            let marked = word | mark | PARKED;
            if self
                .word
                .compare_exchange(word, marked, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                ops.park(&self.word, marked, NEVER);
            }
        }
    }

    /// Replaces the word by what `next` makes of it, and wakes all when a writer or the last reader leaves. The last access
    /// is the exchange.
    fn release(&self, ops: &Ops, next: impl Fn(u32) -> u32) {
        let key = &raw const self.word;
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let mut left = next(word);
            let wakes = word & WRITER != 0 || left & !(PARKED | WAITING) == 0;
            if wakes {
                left &= !PARKED;
            }
            match self.word.compare_exchange(word, left, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if wakes && word & PARKED != 0 => {
                    ops.unpark(key, u32::MAX);
                    return;
                }
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    pub(crate) fn read_lock(&self, task: &Task) {
        task.preempt_point();
        context::enter(task, context::PREEMPT);
        if self.try_change(one_more_reader) {
            return;
        }
        let ops = task.kernel.ops;
        if context::in_softirq(task) {
            // It may be inside of a reader that the writer waits for.
            self.change(ops, 0, one_more_reader_at_once);
        } else {
            self.next.lock(ops);
            // From here on no writer can get in before it.
            self.word.fetch_add(1, Ordering::Relaxed);
            self.change(ops, 0, no_writer);
            self.next.unlock(ops);
        }
    }

    pub(crate) fn try_read_lock(&self, task: &Task) -> bool {
        context::enter(task, context::PREEMPT);
        let locked = self.try_change(one_more_reader);
        if !locked {
            context::leave(task, context::PREEMPT);
        }
        locked
    }

    pub(crate) fn read_unlock(&self, task: &Task) {
        self.release(task.kernel.ops, |word| word - 1);
        context::leave(task, context::PREEMPT);
        task.preempt_point();
    }

    pub(crate) fn write_lock(&self, task: &Task) {
        task.preempt_point();
        context::enter(task, context::PREEMPT);
        if !self.try_change(the_writer) {
            let ops = task.kernel.ops;
            self.next.lock(ops);
            self.change(ops, WAITING, the_next_writer);
            self.next.unlock(ops);
        }
    }

    pub(crate) fn try_write_lock(&self, task: &Task) -> bool {
        context::enter(task, context::PREEMPT);
        let locked = self.try_change(the_writer);
        if !locked {
            context::leave(task, context::PREEMPT);
        }
        locked
    }

    pub(crate) fn write_unlock(&self, task: &Task) {
        self.release(task.kernel.ops, |word| word & !WRITER);
        context::leave(task, context::PREEMPT);
        task.preempt_point();
    }
}

fn one_more_reader(word: u32) -> Option<u32> {
    (word & (WRITER | WAITING) == 0).then_some(word + 1)
}

fn one_more_reader_at_once(word: u32) -> Option<u32> {
    (word & WRITER == 0).then_some(word + 1)
}

fn no_writer(word: u32) -> Option<u32> {
    (word & WRITER == 0).then_some(word)
}

fn the_writer(word: u32) -> Option<u32> {
    (word & !PARKED == 0).then_some(word | WRITER)
}

/// The waiting bit is its own, or nobody's.
fn the_next_writer(word: u32) -> Option<u32> {
    (word & !(PARKED | WAITING) == 0).then_some((word & !WAITING) | WRITER)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::{Config, Kernel, kthread, sched};

    #[test]
    fn writers_exclude_everybody() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let shared = Arc::new((RwSpin::new(), AtomicU64::new(0), AtomicU64::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|index| {
                let shared = shared.clone();
                let main = move || {
                    let task = sched::current_task();
                    let (lock, a, b) = &*shared;
                    for _ in 0..5000 {
                        if index < 2 {
                            lock.write_lock(task);
                            a.store(a.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                            b.store(b.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                            lock.write_unlock(task);
                        } else {
                            lock.read_lock(task);
                            assert_eq!(a.load(Ordering::Relaxed), b.load(Ordering::Relaxed));
                            lock.read_unlock(task);
                        }
                    }
                };
                kthread::spawn(kernel, "rw", Box::new(main)).unwrap()
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join());
        assert_eq!(shared.1.load(Ordering::Relaxed), 10000);
        assert_eq!(shared.0.word.load(Ordering::Relaxed), 0);
    }
}
