// SPDX-License-Identifier: GPL-2.0-only
//! Work queues: `linux/workqueue.h`. How many items run at once.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use umc::sys;

use crate::abi::c;
use crate::harness::*;
use crate::workqueue::{Wq, item};

/// An item that keeps its processor busy until another item has run.
#[repr(C)]
struct Spinner {
    work: sys::work_struct,
    world: &'static World,
    go: &'static AtomicBool,
}

unsafe extern "C" fn spin(work: *mut sys::work_struct) {
    // SAFETY: the first field of an item, which is never unmapped.
    let item = unsafe { &*work.cast::<Spinner>() };
    while !item.go.load(SeqCst) {
        // Not a sleep of the kernel's: the queue does not hear of it.
        item.world.sim.sleep(10 * US);
    }
}

unsafe extern "C" fn release(work: *mut sys::work_struct) {
    // SAFETY: as above.
    unsafe { &*work.cast::<Spinner>() }.go.store(true, SeqCst);
}

/// More items than processors wait, without sleeping, for one that was queued after them: at once on queues whose items
/// do not count, after a while on the others.
#[test]
fn items_that_spin_do_not_hold_up_others() {
    holds(300, |world| {
        let flags = [sys::WQ_UNBOUND, sys::WQ_CPU_INTENSIVE, 0][world.below(3) as usize];
        let wq = Wq::new(flags, 8);
        let go = leak(AtomicBool::new(false));
        let begin = world.sim.now_ns();
        for func in [spin, spin, spin, spin, release] {
            let item = Shared::new(Spinner { work: sys::work_struct::default(), world, go });
            c!(model_init_work(item.get().cast(), Some(func)));
            assert!(c!(queue_work_on(0, wq.get(), item.get().cast())));
            world.nap(5 * US);
        }
        c!(__flush_workqueue(wq.get()));
        let limit = if flags == 0 { 100 * MS } else { MS };
        assert!(world.sim.now_ns() < begin + limit, "the items were held up");
        wq.destroy();
    });
}

/// Raising `max_active` starts what waits; lowering it holds for what starts later.
#[test]
fn max_active_may_change() {
    holds(500, |world| {
        let (wq, gate) = (Wq::new(sys::WQ_UNBOUND, 1), Shared::new(sys::completion::default()));
        let first = crate::workqueue::gated(world, wq, gate);
        let second = item(world, wq);
        first.queue();
        second.queue();
        world.nap(20 * US);
        assert_eq!(second.runs.load(SeqCst), 0, "two items run at once");
        c!(workqueue_set_max_active(wq.get(), 2));
        c!(flush_work(second.work()));
        c!(workqueue_set_max_active(wq.get(), 1));
        second.queue();
        world.settle();
        assert_eq!(second.runs.load(SeqCst), 1, "an item runs beyond the limit");
        c!(complete_all(gate.get()));
        c!(flush_work(second.work()));
        assert_eq!(second.runs.load(SeqCst), 2);
        wq.destroy();
    });
}
