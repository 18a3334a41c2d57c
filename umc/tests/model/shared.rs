// SPDX-License-Identifier: GPL-2.0-only
//! What all kernels of a process share.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use umc::mm::PageBuf;

use crate::harness::*;

/// More than a page, which no thread keeps for itself.
const BYTES: usize = 2 * 4096;

/// Tells the others that it is over, also when a play fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Memory is the process's: who else is at it changes nothing in the run of a seed.
#[test]
fn another_kernel_at_the_same_memory_changes_nothing() {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                drop(PageBuf::new(BYTES));
            }
        });
        // Each time one seed is played twice.
        (0..10).for_each(|_| {
            holds(2, |world| {
                let threads = [0, 1].map(|_| {
                    world.thread("writer", move || {
                        for _ in 0..200 {
                            drop(PageBuf::new(BYTES));
                            world.nap(US);
                        }
                    })
                });
                threads.into_iter().for_each(|thread| thread.join());
            });
        });
    });
}
