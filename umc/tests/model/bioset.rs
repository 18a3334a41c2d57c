// SPDX-License-Identifier: GPL-2.0-only
//! Sets of bios: `linux/bio.h`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use mte::sim::lock::Mutex;
use umc::bio::bio_put;
use umc::bio_alloc::{bio_alloc_bioset, bioset_exit, bioset_init};
use umc::sys;

use crate::harness::*;

/// More bios of the largest class than a set keeps.
const BIOS: usize = 40;

/// The memory of all plays. On a thread that asked for it, memory that is freed is overwritten, and the thread then sleeps
/// for a while: others go on at once with what they may.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

thread_local! {
    static PAUSES: Cell<Option<&'static World>> = const { Cell::new(None) };
    static POISONS: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: the system's, but for what happens before memory is given back.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if POISONS.get() {
            // SAFETY: the caller gives up this memory.
            unsafe { at.write_bytes(0x6b, layout.size()) };
        }
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(at, layout) };
        if let Some(world) = PAUSES.take() {
            world.sim.sleep(10 * US);
        }
    }
}

/// Once its last bio is back a set may end, although `bio_put` has not returned: who frees the last one does not look at
/// the set any more.
#[test]
fn a_set_ends_while_its_last_bio_is_put() {
    holds(100, |world| {
        let set = Shared::new(sys::bio_set::default());
        let bios = leak(Mutex::new(Vec::new()));
        // SAFETY: a zeroed set; bios of it, each put once.
        unsafe {
            assert_eq!(bioset_init(set.get(), 0, 0, sys::BIOSET_NEED_BVECS as i32), 0);
            for _ in 0..BIOS {
                let vecs = sys::BIO_MAX_VECS as u16;
                let gfp = umc::mm::gfp::KERNEL;
                let bio = bio_alloc_bioset(std::ptr::null_mut(), vecs, 0, gfp, set.get());
                bios.lock().push(Shared::from_raw(bio));
            }
        }
        let is_back = leak(AtomicBool::new(false));
        let putter = world.thread("putter", move || {
            let mut bios = std::mem::take(&mut *bios.lock());
            let last = bios.pop().expect("there are some");
            // SAFETY: each is put once.
            bios.into_iter().for_each(|bio| unsafe { bio_put(bio.get()) });
            is_back.store(true, SeqCst);
            PAUSES.set(Some(world));
            // SAFETY: as above.
            unsafe { bio_put(last.get()) };
            assert!(PAUSES.take().is_none(), "the last one was not freed but kept");
        });
        while !is_back.load(SeqCst) {
            world.sim.sleep(US);
        }
        world.sim.sleep(US);
        POISONS.set(true);
        // SAFETY: the last bio is back: its memory was freed.
        unsafe { bioset_exit(set.get()) };
        POISONS.set(false);
        putter.join();
    });
}
