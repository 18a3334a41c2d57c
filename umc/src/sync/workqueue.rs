// SPDX-License-Identifier: GPL-2.0-only
//! Work queues.
//!
//! C header: `include/linux/workqueue.h` (API of 6.12).
//! Guarantees kept: a work item never runs on two workers at once, not even when it is moved between queues;
//! `cancel_work_sync` returns after the last run; an item may free or requeue itself while it runs; an ordered queue
//! runs its items one at a time, in order; no item holds up the others of a queue that allows more than one; a
//! WQ_MEM_RECLAIM queue goes on without a new thread; what waits for a thread that the host does not give gets it later;
//! items of a WQ_BH queue run as in a soft interrupt: one after the other, and one that would sleep is reported.
//! Differs from Linux: each queue has its own threads, started as needed up to `max_active`. Of a queue that is neither
//! WQ_UNBOUND nor WQ_CPU_INTENSIVE one a CPU is awake at a time; more, once its first item has waited for 10 ms. A
//! node is never suspended, so nothing is ever frozen. Not provided: CPU-bound queues, attributes.
//! Used by DRBD for: `drbd%u_submit`, `drbd-reissue`, `drbd_as_%s` (ack sender), the retry queue.

pub(crate) mod abi;
mod cancel;
mod item;
mod queue;
mod running;
mod worker;

use std::collections::VecDeque;
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::kprintln;
use crate::printk::Level;
use crate::sched::current_task;
use crate::{Kernel, context, sys};
use cancel::queue_taken;
use item::{Work, WorkPtr, data_of, take_pending};
use queue::{Inner, Queue, Ticket, queue_of};
pub(crate) use worker::{worker_runs, worker_sleeps};

/// Queues that are destroyed rest for so many others before they are used again: until then an item that is queued on
/// one is told, not run somewhere else.
const ENDED_MIN: usize = 32;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    running: running::Table,
    /// Destroyed queues. A queue is never freed: whoever has the address may lock it.
    ended: Mutex<VecDeque<&'static Queue>>,
    /// [`SYSTEM_QUEUES`]; made under the lock of `ended`.
    system: [AtomicPtr<Queue>; SYSTEM_QUEUES.len()],
}

const SYSTEM_QUEUES: [(&str, u32); 6] = [
    ("events", 0),
    ("events_highpri", 0),
    ("events_long", 0),
    ("events_unbound", sys::WQ_UNBOUND),
    ("events_bh", sys::WQ_BH),
    ("events_bh_highpri", sys::WQ_BH | sys::WQ_HIGHPRI),
];

fn make(kernel: &'static Kernel, inner: Inner) -> &'static Queue {
    let mut ended = kernel.workqueue.ended.lock();
    match ended.len() {
        0..ENDED_MIN => Box::leak(Box::new(Queue::new(kernel, inner))),
        _ => {
            let queue = ended.pop_front().expect("there are some");
            drop(ended);
            queue.begin_again(inner);
            queue
        }
    }
}

/// Makes a queue. One that memory reclaim depends on has its workers from the beginning.
fn create(
    kernel: &'static Kernel,
    name: &CStr,
    flags: u32,
    max_active: i32,
) -> Result<&'static Queue> {
    if flags & sys::WQ_BH != 0 && (flags & !(sys::WQ_BH | sys::WQ_HIGHPRI) != 0 || max_active != 0)
    {
        context::warn(kernel, "alloc_workqueue of WQ_BH with another flag or a max_active");
        return Err(Errno::EINVAL);
    }
    let max_active = match max_active {
        _ if flags & sys::__WQ_ORDERED != 0 => 1,
        ..=0 => sys::WQ_DFL_ACTIVE as usize,
        some => (some as usize).min(sys::WQ_MAX_ACTIVE as usize),
    };
    let name = name.to_string_lossy();
    let queue = make(kernel, Inner::new(&name, flags, max_active));
    if let Err(error) = worker::start_kept(queue) {
        kprintln!(kernel => Level::Err, "workqueue {name}: cannot start a worker: {error}");
        destroy(queue);
        return Err(error);
    }
    Ok(queue)
}

/// Makes an item that runs `func`, for Rust code that embeds one: what `INIT_WORK` is in C.
///
/// # Safety
/// `work` is valid, and not queued.
pub(crate) unsafe fn init_work(work: *mut Work, func: unsafe extern "C" fn(*mut Work)) {
    // SAFETY: `work` is valid, and not queued, so nobody else uses it.
    unsafe {
        let entry = &raw mut (*work).entry;
        work.write(Work { func: Some(func), ..Default::default() });
        crate::list::init(entry);
    }
}

/// What `INIT_DELAYED_WORK` is in C.
///
/// # Safety
/// As [`init_work`].
pub(crate) unsafe fn init_delayed_work(
    work: *mut sys::delayed_work,
    func: unsafe extern "C" fn(*mut Work),
) {
    // SAFETY: `work` is valid, and not queued, so nobody else uses it.
    unsafe {
        init_work(&raw mut (*work).work, func);
        let timer = &raw mut (*work).timer;
        crate::timer::abi::umc_timer_setup(timer, Some(abi::delayed_work_timer_fn), 0);
    }
}

/// Queues an item; false when it was pending already.
///
/// # Safety
/// `work` is initialized and stays until it runs or was cancelled.
unsafe fn queue_work(queue: &'static Queue, work: *mut Work) -> bool {
    // SAFETY: the caller's contract; the bit is ours in the second call.
    unsafe { take_pending(work) && queue_taken(queue, work) }
}

/// The time that the item was queued last, if it is still queued or runs.
///
/// # Safety
/// `work` is initialized.
unsafe fn ticket_of(kernel: &'static Kernel, work: *mut Work) -> Option<Ticket> {
    // SAFETY: the caller's contract.
    let data = unsafe { data_of(work) };
    loop {
        let bits = data.load(Ordering::SeqCst);
        let Some(queue) = queue_of(bits) else { break };
        let inner = queue.lock();
        if queue_of(data.load(Ordering::SeqCst)).is_some_and(|now| ptr::eq(now, queue)) {
            let number = inner.number_of(WorkPtr(work));
            return number.map(|number| Ticket { queue, number });
        }
    }
    // SAFETY: `work` is initialized; only its address is compared.
    unsafe { kernel.workqueue.running.find(kernel, work) }.map(|(ticket, _)| ticket)
}

/// Waits until the item, queued or running, has run: whether there was anything to wait for. May sleep.
///
/// # Safety
/// `work` is initialized.
unsafe fn flush(kernel: &'static Kernel, work: *mut Work) -> bool {
    context::might_sleep();
    // SAFETY: the caller's contract.
    let Some(ticket) = (unsafe { ticket_of(kernel, work) }) else { return false };
    let running = &kernel.workqueue.running;
    if running.task_of(kernel, work, ticket) == Some(ptr::from_ref(current_task()).addr()) {
        context::warn(kernel, "a work item waits for itself in flush_work");
        return false;
    }
    // The item may be gone by now. It moves from the list to the running ones under the lock of its queue.
    running.done(kernel, work).wait_event(|| {
        let queued = ticket.queue.lock().has(ticket.number);
        !queued && running.task_of(kernel, work, ticket).is_none()
    });
    true
}

/// Waits for all items that are queued now. May sleep.
fn flush_queue(queue: &'static Queue) {
    context::might_sleep();
    let last = queue.lock().last_number;
    queue.done.wait_event(|| !queue.lock().is_busy(last));
}

/// Waits until the queue is empty, whatever its own items queue meanwhile. May sleep.
fn drain(queue: &'static Queue) {
    context::might_sleep();
    queue.lock().drains += 1;
    queue.done.wait_event(|| !queue.lock().is_busy(u64::MAX));
    queue.lock().drains -= 1;
}

/// Drains the queue and ends its workers. May sleep.
fn destroy(queue: &'static Queue) {
    drain(queue);
    let idle = queue.lock().end();
    idle.into_iter().for_each(|worker| queue::Kick::Wake(worker).run());
    queue.done.wait_event(|| queue.lock().workers == 0);
    queue.kernel.workqueue.ended.lock().push_back(queue);
}

/// Changes how many items of the queue may run at once.
fn set_max_active(queue: &'static Queue, max_active: usize) {
    if queue.lock().flags & (sys::__WQ_ORDERED | sys::WQ_BH) != 0 {
        context::warn(
            queue.kernel,
            "workqueue_set_max_active of an ordered work queue, or of WQ_BH",
        );
        return;
    }
    queue.lock().max_active = max_active;
    loop {
        let kick = queue.lock().kick(queue);
        if matches!(kick, queue::Kick::Nothing) {
            break;
        }
        kick.run();
    }
}

/// One of [`SYSTEM_QUEUES`], made at its first use.
fn system_queue(kernel: &'static Kernel, which: usize) -> &'static Queue {
    let place = &kernel.workqueue.system[which];
    let find = || {
        // SAFETY: stored below, and queues are never freed.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    };
    if let Some(queue) = find() {
        return queue;
    }
    let (name, flags) = SYSTEM_QUEUES[which];
    let inner = Inner::new(name, flags, sys::WQ_DFL_ACTIVE as usize);
    let made = Box::new(Queue::new(kernel, inner));
    let _making = kernel.workqueue.ended.lock();
    find().unwrap_or_else(|| {
        let queue: &'static Queue = Box::leak(made);
        place.store(ptr::from_ref(queue).cast_mut(), Ordering::Release);
        queue
    })
}

/// Ends the system queues and their threads. May sleep.
pub(crate) fn shutdown(kernel: &'static Kernel) {
    for place in &kernel.workqueue.system {
        let queue = place.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: stored by `system_queue`, and queues are never freed.
        if let Some(queue) = unsafe { queue.as_ref() } {
            destroy(queue);
        }
    }
}

#[cfg(test)]
mod tests;
