// SPDX-License-Identifier: GPL-2.0-only
//! The bare spin lock below `spinlock_t` and the lists of waiters: it knows of no task.

use std::sync::atomic::{AtomicU32, Ordering};

use mte::{NEVER, Ops};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Somebody may be parked on the word.
const PARKED: u32 = 2;
/// Somebody has waited for so long that only such a one may take the lock next.
const RESERVED: u32 = 4;

/// Looks at the word before parking. Parking costs two system calls and two switches, about as much as this.
const SPINS: u32 = 200;
/// How long others may get the lock first. A lock that is handed to a parked thread is idle for a switch, so this is
/// many sections and many switches.
const PATIENCE_NS: u64 = 1_000_000;

/// The bare lock: one word. For sections of a few instructions inside this crate.
#[repr(transparent)]
pub(crate) struct RawSpin(AtomicU32);

impl RawSpin {
    pub(crate) const fn new() -> RawSpin {
        RawSpin(AtomicU32::new(FREE))
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    pub(crate) fn lock(&self, ops: &Ops) {
        if !self.try_lock() {
            self.lock_slow(ops);
        }
    }

    #[cold]
    fn lock_slow(&self, ops: &Ops) {
        if ops.is_simulated == 0 {
            for _ in 0..SPINS {
                if self.0.load(Ordering::Relaxed) == FREE && self.try_lock() {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        let patient_until_ns = ops.now_ns().saturating_add(PATIENCE_NS);
        let mut reserve = 0;
        loop {
            let word = self.0.load(Ordering::Relaxed);
            let (next, order) = match word & HELD == 0 && word & RESERVED <= reserve {
                // Others may be parked. Another one who has waited for long will say so again.
                true => (HELD | PARKED, Ordering::Acquire),
                false => (word | PARKED | reserve, Ordering::Relaxed),
            };
            if self.0.compare_exchange(word, next, order, Ordering::Relaxed).is_err() {
                continue;
            }
            if order == Ordering::Acquire {
                return;
            }
            ops.park(&self.0, next, NEVER);
            if ops.now_ns() >= patient_until_ns {
                reserve = RESERVED;
            }
        }
    }

    /// The last access is the exchange: the lock may be freed by the next owner while this returns.
    #[inline]
    pub(crate) fn unlock(&self, ops: &Ops) {
        let key = &raw const self.0;
        let word = self.0.fetch_and(!(HELD | PARKED), Ordering::Release);
        if word & PARKED != 0 {
            // Who is woken may not be the one that it is reserved for.
            ops.unpark(key, if word & RESERVED != 0 { u32::MAX } else { 1 });
        }
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & HELD != 0
    }

    pub(crate) fn is_contended(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PARKED != 0
    }
}
