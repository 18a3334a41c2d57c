// SPDX-License-Identifier: GPL-2.0-only
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use mte::Ops;

use super::abi::*;
use super::*;
use crate::completion::Completion;
use crate::{Config, sched};

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

/// Waits until the workers, which nobody joins, have left the list of tasks.
fn until_alone(kernel: &'static Kernel) {
    while sched::tasks(kernel).len() > 1 {
        kernel.ops.yield_now();
    }
}

fn queue(flags: u32, max_active: i32) -> *mut sys::workqueue_struct {
    // SAFETY: a task is on this thread.
    unsafe { umc_alloc_workqueue(c"test-queue".as_ptr(), flags, max_active) }
}

#[repr(C)]
struct Item {
    work: sys::work_struct,
    runs: AtomicUsize,
    inside: AtomicBool,
    overlapped: AtomicBool,
    requeue_on: *mut sys::workqueue_struct,
    requeues: AtomicUsize,
    started: Completion,
    gate: Option<&'static Completion>,
}

unsafe extern "C" fn run(work: *mut sys::work_struct) {
    // SAFETY: the work is the first field of an item that outlives it.
    let item = unsafe { &*work.cast::<Item>() };
    if item.inside.swap(true, Ordering::SeqCst) {
        item.overlapped.store(true, Ordering::SeqCst);
    }
    item.runs.fetch_add(1, Ordering::SeqCst);
    item.started.complete();
    if let Some(gate) = item.gate {
        gate.wait();
    }
    if item.requeues.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
    {
        // SAFETY: the item outlives the queue.
        unsafe { queue_work_on(0, item.requeue_on, work) };
    }
    item.inside.store(false, Ordering::SeqCst);
}

fn item(gate: Option<&'static Completion>) -> Box<Item> {
    Box::new(Item {
        work: sys::work_struct { func: Some(run), ..Default::default() },
        runs: AtomicUsize::new(0),
        inside: AtomicBool::new(false),
        overlapped: AtomicBool::new(false),
        requeue_on: ptr::null_mut(),
        requeues: AtomicUsize::new(0),
        started: Completion::new(),
        gate,
    })
}

fn gate() -> &'static Completion {
    Box::leak(Box::new(Completion::new()))
}

#[test]
fn pending_items_are_queued_once() {
    let kernel = boot();
    let gate = gate();
    let wq = queue(sys::__WQ_ORDERED | sys::WQ_MEM_RECLAIM, 1);
    let (mut first, mut second) = (item(Some(gate)), item(None));
    // SAFETY: the items outlive the queue.
    unsafe {
        assert!(queue_work_on(0, wq, &raw mut first.work));
        first.started.wait();
        assert!(queue_work_on(0, wq, &raw mut second.work));
        assert!(!queue_work_on(0, wq, &raw mut second.work));
        assert_eq!(work_busy(&raw mut second.work), sys::WORK_BUSY_PENDING);
        assert_eq!(work_busy(&raw mut first.work), sys::WORK_BUSY_RUNNING);
        gate.complete();
        flush_work(&raw mut second.work);
        assert!(!flush_work(&raw mut second.work));
        destroy_workqueue(wq);
    }
    assert_eq!(first.runs.load(Ordering::SeqCst), 1);
    assert_eq!(second.runs.load(Ordering::SeqCst), 1);
    until_alone(kernel);
}

#[test]
fn sleeping_items_do_not_hold_up_others() {
    let kernel = boot();
    let gate = gate();
    let wq = queue(0, 8);
    let mut items: Vec<_> = (0..8).map(|_| item(Some(gate))).collect();
    // SAFETY: the items outlive the queue.
    unsafe {
        for item in &mut items {
            queue_work_on(0, wq, &raw mut item.work);
        }
        // All of them start, although each one sleeps.
        items.iter().for_each(|item| item.started.wait());
        gate.complete_all();
        __flush_workqueue(wq);
        destroy_workqueue(wq);
    }
    until_alone(kernel);
}

/// Goal: an item never runs twice at once, although it is queued on two queues all the time, and no run is lost.
#[test]
fn an_item_runs_once_at_a_time() {
    boot();
    let queues = [queue(0, 4), queue(sys::WQ_UNBOUND, 4)];
    let mut item = item(None);
    let work = &raw mut item.work;
    let mut queued = 0;
    // SAFETY: the item outlives the queues.
    unsafe {
        for round in 0..20_000 {
            queued += usize::from(queue_work_on(0, queues[round % 2], work));
        }
        queues.into_iter().for_each(|wq| destroy_workqueue(wq));
    }
    assert_eq!(item.runs.load(Ordering::SeqCst), queued);
    assert!(!item.overlapped.load(Ordering::SeqCst));
}

/// Goal: after `cancel_work_sync` the item neither runs nor is queued, although it requeues itself without end.
#[test]
fn cancel_against_an_item_that_requeues_itself() {
    boot();
    let wq = queue(0, 2);
    for _ in 0..300 {
        let mut item = item(None);
        item.requeue_on = wq;
        item.requeues = AtomicUsize::new(usize::MAX);
        let work = &raw mut item.work;
        // SAFETY: the item is freed after it was cancelled.
        unsafe {
            queue_work_on(0, wq, work);
            item.started.wait();
            cancel_work_sync(work);
            assert_eq!(work_busy(work), 0);
        }
        assert!(!item.overlapped.load(Ordering::SeqCst));
        assert!(!item.inside.load(Ordering::SeqCst));
    }
    // SAFETY: the queue is not used any more.
    unsafe { destroy_workqueue(wq) };
}

#[test]
fn draining_lets_items_requeue_themselves() {
    boot();
    let wq = queue(sys::__WQ_ORDERED, 1);
    let mut item = item(None);
    item.requeue_on = wq;
    item.requeues = AtomicUsize::new(100);
    // SAFETY: the item outlives the queue.
    unsafe {
        queue_work_on(0, wq, &raw mut item.work);
        drain_workqueue(wq);
        assert_eq!(item.runs.load(Ordering::SeqCst), 101);
        destroy_workqueue(wq);
    }
}

unsafe extern "C" fn free_itself(work: *mut sys::work_struct) {
    // SAFETY: the item was leaked for this.
    let item = unsafe { Box::from_raw(work.cast::<Item>()) };
    item.gate.expect("has a gate").complete();
}

#[test]
fn an_item_may_free_itself() {
    boot();
    let (wq, gate) = (queue(0, 2), gate());
    for _ in 0..1000 {
        let mut item = item(Some(gate));
        item.work.func = Some(free_itself);
        // SAFETY: the item frees itself when it runs.
        unsafe { queue_work_on(0, wq, &raw mut (*Box::into_raw(item)).work) };
    }
    (0..1000).for_each(|_| gate.wait());
    // SAFETY: the queue is not used any more.
    unsafe { destroy_workqueue(wq) };
}

#[repr(C)]
struct Later {
    work: sys::delayed_work,
    runs: AtomicUsize,
    done: Completion,
}

unsafe extern "C" fn run_later(work: *mut sys::work_struct) {
    // SAFETY: the work is the first field of an item that outlives it.
    let item = unsafe { &*work.cast::<Later>() };
    item.runs.fetch_add(1, Ordering::SeqCst);
    item.done.complete();
}

#[test]
fn delayed_items() {
    let kernel = boot();
    let mut item = Box::new(Later {
        work: sys::delayed_work::default(),
        runs: AtomicUsize::new(0),
        done: Completion::new(),
    });
    item.work.work.func = Some(run_later);
    item.work.timer.function = Some(delayed_work_timer_fn);
    let work = &raw mut item.work;
    // SAFETY: the item outlives the queue.
    unsafe {
        let wq = umc_system_wq(0);
        assert!(queue_delayed_work_on(0, wq, work, 100_000));
        assert!(!queue_delayed_work_on(0, wq, work, 1));
        assert!(cancel_delayed_work_sync(work));
        assert!(!cancel_delayed_work_sync(work));
        assert!(queue_delayed_work_on(0, wq, work, 1));
        item.done.wait();
        assert!(!mod_delayed_work_on(0, wq, work, 100_000));
        assert!(mod_delayed_work_on(0, wq, work, 0));
        item.done.wait();
        assert!(queue_delayed_work_on(0, wq, work, 100_000));
        flush_delayed_work(work);
        assert_eq!(item.runs.load(Ordering::SeqCst), 3);
        for _ in 0..200 {
            queue_delayed_work_on(0, wq, work, 1);
            mod_delayed_work_on(0, wq, work, 0);
            cancel_delayed_work_sync(work);
            assert_eq!(work_busy(&raw mut (*work).work), 0);
        }
    }
    kernel.shutdown();
    until_alone(kernel);
}

/// Whether the host of the test below has a thread to give.
static NO_THREADS: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn start_unless_refused(
    ctx: *mut c_void,
    name: *const c_char,
    main: mte::ops::ThreadMain,
    arg: *mut c_void,
    id: *mut u64,
) -> c_int {
    if NO_THREADS.load(Ordering::SeqCst) {
        return -libc::EAGAIN;
    }
    // SAFETY: handed on as it came.
    unsafe { (mte::current().thread_start)(ctx, name, main, arg, id) }
}

/// Goal: without a thread to be had, a queue for memory reclaim goes on with those it has, even when an item waits for
/// another one; the items of other queues wait, keep no thread of the provider, and run once there are threads again.
#[test]
fn without_threads() {
    // SAFETY: a table is plain words; this copy is never dropped.
    let mut ops: Ops = unsafe { ptr::read(mte::current()) };
    ops.thread_start = start_unless_refused;
    let ops: &'static Ops = Box::leak(Box::new(ops));
    let engine = mte::current();
    mte::ops::set_current(ops);
    let kernel = boot();
    mte::ops::set_current(engine);
    let gate = gate();
    let (reclaim, other) = (queue(sys::WQ_MEM_RECLAIM, 4), queue(0, 4));
    let (mut first, mut second, mut third) = (item(Some(gate)), item(None), item(None));
    NO_THREADS.store(true, Ordering::SeqCst);
    // SAFETY: the items outlive the queues.
    unsafe {
        assert!(umc_alloc_workqueue(c"refused".as_ptr(), sys::WQ_MEM_RECLAIM, 1).is_null());
        queue_work_on(0, reclaim, &raw mut first.work);
        first.started.wait();
        queue_work_on(0, reclaim, &raw mut second.work);
        flush_work(&raw mut second.work);
        queue_work_on(0, other, &raw mut third.work);
        assert!(!third.started.wait_timeout(30_000_000), "runs on a thread of the provider");
        NO_THREADS.store(false, Ordering::SeqCst);
        flush_work(&raw mut third.work);
        gate.complete();
        destroy_workqueue(reclaim);
        destroy_workqueue(other);
    }
    let told = |record: &&crate::printk::Record| record.text.contains("cannot start a worker");
    // Once for each queue, and again where a retry came while there were none still.
    assert!(kernel.log_records(0).iter().filter(told).count() >= 2);
}

/// Runs of [`bh_item`] that are inside, and that saw what they should not.
static BH_INSIDE: AtomicUsize = AtomicUsize::new(0);
static BH_FAULTS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn bh_item(work: *mut sys::work_struct) {
    let task = current_task();
    let is_softirq = context::depth(task, context::SERVING) == 1 && context::in_softirq(task);
    let is_alone = BH_INSIDE.fetch_add(1, Ordering::SeqCst) == 0;
    if !is_softirq || !is_alone {
        BH_FAULTS.fetch_add(1, Ordering::SeqCst);
    }
    for _ in 0..20 {
        task.kernel.ops.yield_now();
    }
    BH_INSIDE.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: the work is the first field of an item that outlives it.
    let item = unsafe { &*work.cast::<Item>() };
    item.runs.fetch_add(1, Ordering::SeqCst);
    item.started.complete();
}

/// As in a soft interrupt: one after the other, not to be slept in, and with nothing left raised for the next.
#[test]
fn items_of_bh_run_as_soft_interrupts() {
    let kernel = boot();
    let mut items: Vec<Box<Item>> = (0..20).map(|_| item(None)).collect();
    for item in &mut items {
        item.work.func = Some(bh_item);
    }
    // SAFETY: the items outlive the queue.
    unsafe {
        for wq in [queue(sys::WQ_BH, 0), queue(sys::WQ_BH | sys::WQ_HIGHPRI, 0)] {
            items.iter_mut().for_each(|item| assert!(queue_work_on(0, wq, &raw mut item.work)));
            __flush_workqueue(wq);
            destroy_workqueue(wq);
        }
        let system = umc_system_wq(sys::UMC_SYSTEM_BH_WQ);
        assert!(queue_work_on(0, system, &raw mut items[0].work));
        flush_work(&raw mut items[0].work);
        // What Linux refuses.
        assert!(queue(sys::WQ_BH | sys::WQ_UNBOUND, 0).is_null());
        assert!(queue(sys::WQ_BH, 1).is_null());
    }
    assert!(items[1..].iter().all(|item| item.runs.load(Ordering::SeqCst) == 2));
    assert_eq!(items[0].runs.load(Ordering::SeqCst), 3);
    assert_eq!(BH_FAULTS.load(Ordering::SeqCst), 0);
    let refused = "WARNING: alloc_workqueue of WQ_BH with";
    let log = kernel.log_records(0);
    assert_eq!(log.iter().filter(|record| record.text.starts_with(refused)).count(), 2);
}
