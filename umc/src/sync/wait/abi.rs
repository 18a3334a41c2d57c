// SPDX-License-Identifier: GPL-2.0-only
//! The C side of wait queues: the lists in `struct wait_queue_head`.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering, fence};

use crate::errno::Errno;
use crate::sched::{Task, current_task, schedule_timeout, set_state, wake_up};
use crate::spinlock::KernelSpin;
use crate::{context, kthread, sys};

type Head = sys::wait_queue_head;
type Entry = sys::wait_queue_entry;
type Link = sys::list_head;

const EXCLUSIVE: u32 = sys::WQ_FLAG_EXCLUSIVE;
const WOKEN: u32 = sys::WQ_FLAG_WOKEN;

/// A locked wait queue.
struct Locked {
    head: *mut Head,
    task: &'static Task,
    irq: bool,
}

impl Locked {
    /// # Safety
    /// `head` is initialized and stays until the guard is dropped.
    unsafe fn new(head: *mut Head) -> Locked {
        let task = current_task();
        let irq = context::irq_off(task);
        // SAFETY: `head` is initialized, so its lock is, and stays until the guard is dropped.
        unsafe { KernelSpin::from_sys(&raw mut (*head).lock.rlock) }.lock(task);
        Locked { head, task, irq }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: the contract of `new`.
        unsafe { KernelSpin::from_sys(&raw mut (*self.head).lock.rlock) }.unlock(self.task);
        context::irq_restore(self.task, self.irq);
    }
}

/// Others look at the links without the lock (`waitqueue_active`, `finish_wait`), so they are written atomically.
///
/// # Safety
/// `field` is a link of a valid list.
unsafe fn store(field: *mut *mut Link, value: *mut Link) {
    // SAFETY: `field` is a link of a valid list, and everybody writes links atomically.
    unsafe { AtomicPtr::from_ptr(field) }.store(value, Ordering::Release);
}

/// # Safety
/// `prev` and `prev->next` are valid; the lock is held; `link` is in no list.
unsafe fn insert_after(prev: *mut Link, link: *mut Link) {
    // SAFETY: the lock is held, so the list stands still; `prev`, its next and `link` are valid,
    // and readers without the lock see whole pointers.
    unsafe {
        let next = (*prev).next;
        store(&raw mut (*link).next, next);
        store(&raw mut (*link).prev, prev);
        store(&raw mut (*next).prev, link);
        store(&raw mut (*prev).next, link);
    }
}

/// # Safety
/// `link` is valid and either in a list whose lock is held, or points to itself.
unsafe fn delete_init(link: *mut Link) {
    // SAFETY: `link` and its neighbours are valid, and the lock is held unless they are itself.
    // `next` of the link itself last: that is what `is_alone` looks at.
    unsafe {
        let (next, prev) = ((*link).next, (*link).prev);
        store(&raw mut (*next).prev, prev);
        store(&raw mut (*prev).next, next);
        store(&raw mut (*link).prev, link);
        store(&raw mut (*link).next, link);
    }
}

/// `list_empty_careful`: right even while a waker is taking the link out, if nobody puts it back.
///
/// # Safety
/// `link` is valid.
unsafe fn is_alone(link: *mut Link) -> bool {
    // SAFETY: `link` is valid, and once its `next` is itself a waker is done with it: nobody writes
    // `prev` when it is read.
    unsafe {
        let next = AtomicPtr::from_ptr(&raw mut (*link).next).load(Ordering::Acquire);
        ptr::eq(next, link) && ptr::eq((*link).prev, link)
    }
}

/// Calls the wake functions of the entries until `nr` exclusive ones woke something; all when `nr` is 0.
///
/// # Safety
/// `head` is initialized and locked.
unsafe fn wake_locked(
    head: *mut Head,
    mode: c_uint,
    mut nr: c_int,
    flags: c_int,
    key: *mut c_void,
) -> c_int {
    let asked = nr;
    // SAFETY: `head` is locked; the list only holds entries that stay until they are taken out
    // under the lock, and a wake function takes out no entry but its own.
    unsafe {
        let first = &raw mut (*head).head;
        let mut link = (*first).next;
        while !ptr::eq(link, first) {
            let next = (*link).next;
            let entry = link.byte_sub(std::mem::offset_of!(Entry, entry)).cast::<Entry>();
            let exclusive = (*entry).flags & EXCLUSIVE != 0;
            let func = (*entry).func.expect("a wait queue entry has a function");
            let woken = func(entry, mode, flags, key);
            if woken < 0 {
                break;
            }
            if woken > 0 && exclusive {
                nr -= 1;
                if nr == 0 {
                    break;
                }
            }
            link = next;
        }
    }
    asked - nr
}

/// Makes an empty wait queue with a free lock.
///
/// # Safety
/// `head` is valid and used by nobody.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __init_waitqueue_head(
    head: *mut Head,
    _name: *const c_char,
    _key: *mut sys::lock_class_key,
) {
    // SAFETY: `head` is valid memory that nobody else knows yet.
    unsafe {
        head.write(Head::default());
        (*head).head.next = &raw mut (*head).head;
        (*head).head.prev = &raw mut (*head).head;
    }
}

/// Makes an entry of the calling task that leaves its queue when it is woken; `flags` may say that
/// it is exclusive.
///
/// # Safety
/// `entry` is valid and in no list.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init_wait_entry(entry: *mut Entry, flags: c_int) {
    // SAFETY: `entry` is valid and in no list, so it is the caller's alone.
    unsafe {
        (*entry).flags = flags as c_uint;
        (*entry).private = current_task().as_sys().cast();
        (*entry).func = Some(autoremove_wake_function);
        (*entry).entry.next = &raw mut (*entry).entry;
        (*entry).entry.prev = &raw mut (*entry).entry;
    }
}

/// Wakes the task of an entry if its state is in `mode`; 1 when this did it. The entry stays in its
/// queue.
///
/// # Safety
/// `entry` is in the queue that wakes it, or in none; its task waits or the caller keeps it.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn default_wake_function(
    entry: *mut Entry,
    mode: c_uint,
    _flags: c_int,
    _key: *mut c_void,
) -> c_int {
    // SAFETY: the entry is in the queue that wakes it or kept by the caller; `private` is its task,
    // which waits or is kept.
    wake_up(unsafe { Task::from_sys((*entry).private.cast()) }, mode).into()
}

/// [`default_wake_function`] that takes the entry out of its queue when it woke the task.
///
/// # Safety
/// `entry` is in the queue that wakes it, which is locked.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn autoremove_wake_function(
    entry: *mut Entry,
    mode: c_uint,
    flags: c_int,
    key: *mut c_void,
) -> c_int {
    // SAFETY: the queue is locked, so the entry stays. The woken task leaves `finish_wait` only
    // after the entry points to itself, or with the lock.
    unsafe {
        let woken = default_wake_function(entry, mode, flags, key);
        if woken != 0 {
            delete_init(&raw mut (*entry).entry);
        }
        woken
    }
}

/// Notes in the entry that it was woken, for [`wait_woken`], and wakes its task.
///
/// # Safety
/// `entry` is in the queue that wakes it, which is locked.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn woken_wake_function(
    entry: *mut Entry,
    mode: c_uint,
    flags: c_int,
    key: *mut c_void,
) -> c_int {
    fence(Ordering::SeqCst);
    // SAFETY: the queue is locked, so the entry stays; both sides access the flags of such an entry
    // atomically.
    unsafe {
        flags_of(entry).fetch_or(WOKEN, Ordering::SeqCst);
        default_wake_function(entry, mode, flags, key)
    }
}

/// # Safety
/// `entry` is valid for as long as the result is used.
unsafe fn flags_of<'a>(entry: *mut Entry) -> &'a std::sync::atomic::AtomicU32 {
    // SAFETY: the caller's contract.
    unsafe { std::sync::atomic::AtomicU32::from_ptr(&raw mut (*entry).flags) }
}

/// Sleeps unless `woken_wake_function` ran since the last time.
///
/// # Safety
/// `entry` is in a queue, with `woken_wake_function`.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wait_woken(entry: *mut Entry, mode: c_uint, timeout: c_long) -> c_long {
    let task = current_task();
    set_state(task, mode);
    let mut left = timeout;
    // SAFETY: the entry is the calling task's own, and both sides access its flags atomically.
    unsafe {
        let stopped = kthread::kthread_should_stop_or_park();
        if flags_of(entry).load(Ordering::SeqCst) & WOKEN == 0 && !stopped {
            left = schedule_timeout(task, timeout);
        }
        task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
        flags_of(entry).fetch_and(!WOKEN, Ordering::SeqCst);
    }
    left
}

/// Puts an entry that is not exclusive at the head of the queue.
///
/// # Safety
/// `head` is initialized; `entry` is in no list and stays until `remove_wait_queue`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_wait_queue(head: *mut Head, entry: *mut Entry) {
    // SAFETY: the entry is the caller's alone until it is in the queue, where it stays until
    // `remove_wait_queue`; the links change under the lock.
    unsafe {
        (*entry).flags &= !EXCLUSIVE;
        let _locked = Locked::new(head);
        insert_after(&raw mut (*head).head, &raw mut (*entry).entry);
    }
}

/// Puts an exclusive entry at the end of the queue: a wake-up of one wakes the first that came.
///
/// # Safety
/// `head` is initialized; `entry` is in no list and stays until `remove_wait_queue`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn add_wait_queue_exclusive(head: *mut Head, entry: *mut Entry) {
    // SAFETY: the entry is the caller's alone until it is in the queue, where it stays until
    // `remove_wait_queue`; the links change under the lock.
    unsafe {
        (*entry).flags |= EXCLUSIVE;
        let _locked = Locked::new(head);
        insert_after((*head).head.prev, &raw mut (*entry).entry);
    }
}

/// Takes the entry out of the queue.
///
/// # Safety
/// `entry` is in the list of `head`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn remove_wait_queue(head: *mut Head, entry: *mut Entry) {
    // SAFETY: the entry is in the list of `head`, whose lock is held while it is taken out.
    unsafe {
        let _locked = Locked::new(head);
        delete_init(&raw mut (*entry).entry);
    }
}

/// Enqueues the entry if it is not queued, and sets the state. True when it is the first in the queue.
///
/// # Safety
/// `head` is initialized and locked; `entry` is initialized and stays until `finish_wait`.
unsafe fn enqueue(locked: &Locked, entry: *mut Entry, exclusive: bool, state: u32) -> bool {
    let head = locked.head;
    // SAFETY: `locked` holds the lock of the queue; the entry is initialized, so its link is in
    // this list or points to itself.
    let was_empty = unsafe {
        let first = &raw mut (*head).head;
        let was_empty = ptr::eq((*first).next, first);
        let link = &raw mut (*entry).entry;
        if ptr::eq((*link).next, link) {
            insert_after(if exclusive { (*first).prev } else { first }, link);
        }
        was_empty
    };
    locked.task.set_wait(&"wait queue", head.addr());
    set_state(locked.task, state);
    was_empty
}

/// Puts the entry at the head of the queue, unless it is queued, and then sets the state of the
/// calling task: what is tested after that cannot miss a wake-up.
///
/// # Safety
/// `head` is initialized; `entry` is initialized and stays until `finish_wait`.
/// # Context
/// Any; the caller is about to sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prepare_to_wait(head: *mut Head, entry: *mut Entry, state: c_int) {
    // SAFETY: the entry stays until `finish_wait` and its flags are the calling task's; the links
    // change under the lock.
    unsafe {
        (*entry).flags &= !EXCLUSIVE;
        let locked = Locked::new(head);
        enqueue(&locked, entry, false, state as u32);
    }
}

/// [`prepare_to_wait`] for an exclusive entry, at the end of the queue; true when the queue was
/// empty.
///
/// # Safety
/// `head` is initialized; `entry` is initialized and stays until `finish_wait`.
/// # Context
/// Any; the caller is about to sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prepare_to_wait_exclusive(
    head: *mut Head,
    entry: *mut Entry,
    state: c_int,
) -> bool {
    // SAFETY: the entry stays until `finish_wait` and its flags are the calling task's; the links
    // change under the lock.
    unsafe {
        (*entry).flags |= EXCLUSIVE;
        let locked = Locked::new(head);
        enqueue(&locked, entry, true, state as u32)
    }
}

/// `-ERESTARTSYS` with a signal pending: the entry is out of the queue then, so that an exclusive wake-up goes to
/// another waiter.
///
/// # Safety
/// `head` is initialized; `entry` is initialized and stays until `finish_wait`.
/// # Context
/// Any; the caller is about to sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prepare_to_wait_event(
    head: *mut Head,
    entry: *mut Entry,
    state: c_int,
) -> c_long {
    // SAFETY: the entry stays until `finish_wait`, and is in this list or points to itself; the
    // lock is held.
    unsafe {
        let locked = Locked::new(head);
        if locked.task.signals.interrupts(state as u32) {
            delete_init(&raw mut (*entry).entry);
            return Errno::ERESTARTSYS.neg().into();
        }
        enqueue(&locked, entry, (*entry).flags & EXCLUSIVE != 0, state as u32);
    }
    0
}

/// Ends what a `prepare_to_wait` began: the task is running and the entry in no queue.
///
/// # Safety
/// `entry` was prepared on `head`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn finish_wait(head: *mut Head, entry: *mut Entry) {
    let task = current_task();
    task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
    task.clear_wait();
    // SAFETY: the entry was prepared on `head`. A waker that took it out wrote `next` last and does
    // not touch it again.
    unsafe {
        if !is_alone(&raw mut (*entry).entry) {
            let _locked = Locked::new(head);
            delete_init(&raw mut (*entry).entry);
        }
    }
}

/// Wakes the entries that are not exclusive and `nr` exclusive ones, 0 being all, whose tasks are
/// in `mode`; gives how many exclusive ones it woke.
///
/// # Safety
/// `head` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wake_up(
    head: *mut Head,
    mode: c_uint,
    nr: c_int,
    key: *mut c_void,
) -> c_int {
    // SAFETY: `head` is initialized, and locked here.
    unsafe {
        let _locked = Locked::new(head);
        wake_locked(head, mode, nr, 0, key)
    }
}

/// [`__wake_up`] under the lock of the queue, which the caller holds.
///
/// # Safety
/// `head` is initialized and locked by the caller.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wake_up_locked(head: *mut Head, mode: c_uint, nr: c_int) {
    // SAFETY: the caller's contract.
    unsafe { wake_locked(head, mode, nr, 0, ptr::null_mut()) };
}

/// [`__wake_up_locked`] of one exclusive entry, with `key` for the wake functions.
///
/// # Safety
/// `head` is initialized and locked by the caller.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wake_up_locked_key(head: *mut Head, mode: c_uint, key: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { wake_locked(head, mode, 1, 0, key) };
}

/// The hint that the waker is about to sleep changes nothing.
///
/// # Safety
/// `head` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wake_up_sync(head: *mut Head, mode: c_uint) {
    // SAFETY: the caller's contract.
    unsafe { __wake_up(head, mode, 1, ptr::null_mut()) };
}

/// The hint that the waker is about to sleep changes nothing.
///
/// # Safety
/// `head` is initialized.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wake_up_sync_key(head: *mut Head, mode: c_uint, key: *mut c_void) {
    // SAFETY: the caller's contract.
    unsafe { __wake_up(head, mode, 1, key) };
}
