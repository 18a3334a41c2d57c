// SPDX-License-Identifier: GPL-2.0-only
//! The items that run, of all queues.
//!
//! An item may free itself, so what says that it runs cannot lie in it. It is known by its address and its function: what
//! lies at the address of a freed item, with another function, is another item.

use std::array;
use std::ptr;
use std::sync::atomic::Ordering;

use mte::sim::lock::Mutex;

use super::item::{PENDING, QUEUED, Work, WorkPtr, data_of};
use super::queue::{QUEUE, Queue, Ticket};
use crate::Kernel;
use crate::sched::Task;
use crate::wait::WaitQueue;

/// So that workers rarely meet at one lock.
const PARTS: usize = 16;

pub(super) struct Table([Part; PARTS]);

/// The items at some of the addresses.
#[derive(Default)]
#[repr(align(64))]
struct Part {
    runs: Mutex<Vec<Run>>,
    /// Woken after every run, when an item is taken out of its queue, and when a canceller is done.
    done: WaitQueue,
}

struct Run {
    work: WorkPtr,
    func: usize,
    ticket: Ticket,
    task: usize,
    /// A queue that has the item again and cannot run it.
    holds_up: Option<&'static Queue>,
}

impl Default for Table {
    fn default() -> Table {
        Table(array::from_fn(|_| Part::default()))
    }
}

/// # Safety
/// `work` is initialized.
unsafe fn func_of(work: *mut Work) -> usize {
    // SAFETY: the caller's contract.
    unsafe { (*work).func }.map_or(0, |func| func as usize)
}

impl Table {
    fn part(&self, kernel: &Kernel, work: *mut Work) -> &Part {
        // A simulation must not depend on addresses.
        let hash = if kernel.ops.is_simulated != 0 { 0 } else { work.addr() >> 5 };
        &self.0[(hash ^ (hash >> 4) ^ (hash >> 8)) % PARTS]
    }

    /// Where to wait for what becomes of an item. The item is not touched.
    pub(super) fn done(&self, kernel: &Kernel, work: *mut Work) -> &WaitQueue {
        &self.part(kernel, work).done
    }

    /// Notes that a queued item runs now, and gives its pending bit up. Not, while it still runs from an earlier time:
    /// the end of that run will tell of the queue. Under the lock of the queue.
    pub(super) fn begin(
        &self,
        kernel: &Kernel,
        work: WorkPtr,
        ticket: Ticket,
        task: &Task,
    ) -> bool {
        // SAFETY: queued items are valid.
        let func = unsafe { func_of(work.0) };
        let mut runs = self.part(kernel, work.0).runs.lock();
        if let Some(run) = runs.iter_mut().find(|run| run.work == work && run.func == func) {
            run.holds_up = Some(ticket.queue);
            return false;
        }
        let task = ptr::from_ref(task).addr();
        runs.push(Run { work, func, ticket, task, holds_up: None });
        // SAFETY: queued items are valid.
        unsafe { data_of(work.0) }.fetch_and(!(PENDING | QUEUED | QUEUE), Ordering::SeqCst);
        true
    }

    /// The end of a run: the queue that it held up. The item may be gone.
    pub(super) fn end(
        &self,
        kernel: &Kernel,
        work: WorkPtr,
        ticket: Ticket,
    ) -> Option<&'static Queue> {
        let mut runs = self.part(kernel, work.0).runs.lock();
        let at = runs.iter().position(|run| run.ticket == ticket)?;
        runs.swap_remove(at).holds_up
    }

    /// The run of an item, and the task that it runs on.
    ///
    /// # Safety
    /// `work` is initialized.
    pub(super) unsafe fn find(&self, kernel: &Kernel, work: *mut Work) -> Option<(Ticket, usize)> {
        // SAFETY: the caller's contract.
        let func = unsafe { func_of(work) };
        let runs = self.part(kernel, work).runs.lock();
        let run = runs.iter().find(|run| run.work.0 == work && run.func == func);
        run.map(|run| (run.ticket, run.task))
    }

    /// The task on which this run of an item is under way. The item is not touched.
    pub(super) fn task_of(
        &self,
        kernel: &Kernel,
        work: *mut Work,
        ticket: Ticket,
    ) -> Option<usize> {
        let runs = self.part(kernel, work).runs.lock();
        runs.iter().find(|run| run.ticket == ticket).map(|run| run.task)
    }
}
