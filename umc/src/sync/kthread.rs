// SPDX-License-Identifier: GPL-2.0-only
//! Kernel threads.
//!
//! C header: `include/linux/kthread.h` (API of 6.12).
//! Guarantees kept: a new thread does nothing before it is woken; `kthread_stop` before that means it never runs;
//! `kthread_stop` ends interruptible sleeps and returns the thread's result, also after the thread ended.
//! Differs from Linux: `kthread_bind` keeps the mask and leaves the CPU to the host.
//! Not provided: `kthread_exit`, which would have to unwind C frames; `kthread_worker`.
//! Used by DRBD for: receiver, worker, asender and the submitter threads.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use mte::sim::lock::Mutex;

use crate::completion::Completion;
use crate::errno::{Errno, Result, err_ptr};
use crate::sched::{self, Task, TaskRef, current_task, schedule, set_state, wake_up};
use crate::{Kernel, context, cpumask, signal, sys};

const SHOULD_STOP: u32 = 1;
const SHOULD_PARK: u32 = 2;

const NORMAL: u32 = sys::TASK_INTERRUPTIBLE | sys::TASK_UNINTERRUPTIBLE;

type ThreadFn = unsafe extern "C" fn(*mut c_void) -> c_int;

/// What a thread does.
enum Main {
    C(ThreadFn, *mut c_void),
    Rust(Box<dyn FnOnce() + Send>),
}

/// What a task has on top when it is a kernel thread.
pub(crate) struct Kthread {
    main: Mutex<Option<Main>>,
    func: Option<ThreadFn>,
    data: *mut c_void,
    flags: AtomicU32,
    result: AtomicI32,
    exited: Completion,
    parked: Completion,
}

/// Waits until every kernel thread whose function lies in `code` has left it, as the code is about to be unmapped; the
/// first one that has not within the timeout is the error. May sleep.
pub(crate) fn wait_for_exits(
    kernel: &'static Kernel,
    code: &std::ops::Range<usize>,
    timeout_ns: u64,
) -> core::result::Result<(), TaskRef> {
    let deadline_ns = kernel.ops.now_ns().saturating_add(timeout_ns);
    for task in sched::all_tasks(kernel) {
        if let Some(kthread) = try_kthread_of(&task)
            && kthread.func.is_some_and(|func| code.contains(&(func as usize)))
            && !kthread.exited.wait_timeout(deadline_ns.saturating_sub(kernel.ops.now_ns()))
        {
            return Err(task);
        }
    }
    Ok(())
}

/// A thread of Rust code. Dropping it lets the thread go on by itself.
pub struct Thread(TaskRef);

impl Thread {
    /// Its task, valid while this value lives.
    pub fn task(&self) -> *mut sys::task_struct {
        self.0.as_sys()
    }

    /// Waits for its end. May sleep.
    pub fn join(self) {
        kthread_of(&self.0).exited.wait();
    }

    /// Wakes it from any sleep of its own.
    pub fn wake(&self) {
        wake_up(&self.0, NORMAL);
    }

    /// Sends it a signal, as the kernel. It has to have allowed it.
    pub fn send_sig(&self, sig: c_int) {
        let _ = signal::send(sig, &self.0, true);
    }
}

/// Starts a kernel thread.
///
/// # Errors
/// Those of the host when it has no thread to give.
pub fn spawn(
    kernel: &'static Kernel,
    name: &str,
    main: Box<dyn FnOnce() + Send>,
) -> Result<Thread> {
    let task = create(kernel, name, Main::Rust(main))?;
    wake_up(&task, sys::TASK_UNINTERRUPTIBLE);
    Ok(Thread(task))
}

fn try_kthread_of(task: &Task) -> Option<&Kthread> {
    task.kthread.as_ref().and_then(|kthread| kthread.downcast_ref())
}

fn kthread_of(task: &Task) -> &Kthread {
    try_kthread_of(task).expect("the task is a kernel thread")
}

/// A thread that waits for its first wake-up.
fn create(kernel: &'static Kernel, name: &str, main: Main) -> Result<TaskRef> {
    let (func, data) = match main {
        Main::C(func, data) => (Some(func), data),
        Main::Rust(_) => (None, ptr::null_mut()),
    };
    let kthread = Box::new(Kthread {
        main: Mutex::new(Some(main)),
        func,
        data,
        flags: AtomicU32::new(0),
        result: AtomicI32::new(0),
        exited: Completion::new(),
        parked: Completion::new(),
    });
    let flags = sys::PF_KTHREAD | sys::PF_NOFREEZE;
    // Asleep before the thread exists, so that an early wake-up is not lost.
    let task = Task::create(kernel, name, flags, sys::TASK_UNINTERRUPTIBLE, Some(kthread));
    let own = task.get();
    match kernel.ops.thread_start(name, Box::new(move || run(own))) {
        Ok(_) => Ok(task),
        Err(error) => {
            // What it holds ends now: the task itself goes after a grace period, which may need a thread as well.
            let main = kthread_of(&task).main.lock().take();
            drop(main);
            Task::exit(task);
            Err(error.into())
        }
    }
}

/// Ends the node when a panic leaves a thread: whoever waits for the thread would wait for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// The life of a thread.
fn run(task: TaskRef) {
    let _abort = AbortOnPanic;
    sched::become_task(&task);
    // SAFETY: the reference `task` lives until `Task::exit`, which ends the use of this borrow.
    let this: &'static Task = unsafe { &*ptr::from_ref::<Task>(&*task) };
    let kthread = kthread_of(this);
    schedule(this);
    let mut result = Errno::EINTR.neg();
    if kthread.flags.load(Ordering::SeqCst) & SHOULD_STOP == 0 {
        park_if_asked(this, kthread);
        let main = kthread.main.lock().take();
        result = match main {
            // SAFETY: the contract of `umc_kthread_create`.
            Some(Main::C(func, data)) => unsafe { func(data) },
            Some(Main::Rust(main)) => {
                main();
                0
            }
            None => 0,
        };
    }
    kthread.result.store(result, Ordering::Release);
    this.set_exit_code(result);
    let (kernel, waiters) = (this.kernel, task.get());
    Task::exit(task);
    kthread_of(&waiters).exited.complete_all_for(kernel);
}

fn park_if_asked(task: &Task, kthread: &Kthread) {
    while kthread.flags.load(Ordering::SeqCst) & SHOULD_PARK != 0 {
        set_state(task, sys::TASK_PARKED);
        if kthread.flags.load(Ordering::SeqCst) & SHOULD_PARK == 0 {
            break;
        }
        kthread.parked.complete();
        task.set_wait(&"kthread_park", 0);
        schedule(task);
    }
    task.state().store(sys::TASK_RUNNING, Ordering::SeqCst);
}

/// Asks the thread to end, and waits for it: its result, or `-EINTR` when it never ran. May sleep.
fn stop(task: &Task) -> c_int {
    let kthread = kthread_of(task);
    kthread.flags.fetch_or(SHOULD_STOP, Ordering::SeqCst);
    unpark(task, kthread);
    signal::notify(task);
    wake_up(task, NORMAL);
    kthread.exited.wait();
    kthread.result.load(Ordering::Acquire)
}

fn unpark(task: &Task, kthread: &Kthread) {
    kthread.flags.fetch_and(!SHOULD_PARK, Ordering::SeqCst);
    wake_up(task, sys::TASK_PARKED);
}

fn should(flags: u32) -> bool {
    let task = current_task();
    task.preempt_point();
    let kthread = try_kthread_of(task);
    kthread.is_some_and(|kthread| kthread.flags.load(Ordering::SeqCst) & flags != 0)
}

/// What `kthread_create_on_node` of `glue/kthread.c` calls with the formatted name.
///
/// # Safety
/// `threadfn` may be called with `data` on another thread; `name` is a C string.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_kthread_create(
    threadfn: Option<ThreadFn>,
    data: *mut c_void,
    name: *const c_char,
) -> *mut sys::task_struct {
    let kernel = sched::current_kernel();
    // SAFETY: `name` is a string.
    let name = unsafe { crate::string::lossy(name) };
    let func = threadfn.expect("kthread_create needs a function");
    match create(kernel, &name, Main::C(func, data)) {
        // The thread's own reference keeps the task for the caller until it ends, as on Linux.
        Ok(task) => task.as_sys(),
        Err(error) => err_ptr(error),
    }
}

/// Keeps the mask; the host decides where the thread runs.
///
/// # Safety
/// `task` is a kernel thread that was not woken yet.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_bind(task: *mut sys::task_struct, cpu: c_uint) {
    // SAFETY: the caller's contract.
    unsafe { kthread_bind_mask(task, cpumask::cpumask_of(cpu)) }
}

/// Keeps the mask; the host decides where the thread runs.
///
/// # Safety
/// `task` is a kernel thread that was not woken yet; `mask` is valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_bind_mask(task: *mut sys::task_struct, mask: *const sys::cpumask) {
    // SAFETY: the thread is kept by the caller and has not run, so nobody else writes these fields;
    // `mask` is valid through the call.
    unsafe {
        (*task).cpus_mask = *mask;
        (*task).nr_cpus_allowed = (*mask).bits[0].count_ones() as c_int;
        (*task).flags |= sys::PF_NO_SETAFFINITY;
    }
}

/// Asks the thread to end and waits until it has; gives its result, or -EINTR when its function
/// never ran. A parked thread is let on first.
///
/// # Safety
/// `task` is a kernel thread that has not ended, or that the caller keeps with a reference.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_stop(task: *mut sys::task_struct) -> c_int {
    // SAFETY: the caller's contract.
    let task = unsafe { Task::from_sys(task) }.get();
    stop(&task)
}

/// [`kthread_stop`] that drops the caller's reference.
///
/// # Safety
/// As for [`kthread_stop`]; the caller's reference is dropped.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_stop_put(task: *mut sys::task_struct) -> c_int {
    // SAFETY: the caller gives its reference.
    let task = unsafe { TaskRef::from_raw(task.cast::<Task>()) };
    stop(&task)
}

/// Whether somebody asked the calling kernel thread to end; false for a task that is none.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_should_stop() -> bool {
    should(SHOULD_STOP)
}

/// Whether somebody asked the calling kernel thread to park; false for a task that is none.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_should_park() -> bool {
    should(SHOULD_PARK)
}

/// Whether somebody asked the calling kernel thread to end or to park; false for a task that is
/// none.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_should_stop_or_park() -> bool {
    should(SHOULD_STOP | SHOULD_PARK)
}

/// Nothing ever freezes, so this is [`kthread_should_stop`].
///
/// # Safety
/// `was_frozen` is NULL or valid.
/// # Context
/// May sleep on Linux.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_freezable_should_stop(was_frozen: *mut bool) -> bool {
    // SAFETY: the caller's contract.
    if let Some(was_frozen) = unsafe { was_frozen.as_mut() } {
        *was_frozen = false;
    }
    should(SHOULD_STOP)
}

/// The function that the thread was made with.
///
/// # Safety
/// `task` is a kernel thread that the caller keeps.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_func(task: *mut sys::task_struct) -> *mut c_void {
    // SAFETY: the caller's contract.
    let func = kthread_of(unsafe { Task::from_sys(task) }).func;
    func.map_or(ptr::null_mut(), |func| func as *mut c_void)
}

/// The argument that the thread was made with.
///
/// # Safety
/// `task` is a kernel thread that the caller keeps.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_data(task: *mut sys::task_struct) -> *mut c_void {
    // SAFETY: the caller's contract.
    kthread_of(unsafe { Task::from_sys(task) }).data
}

/// EBUSY for a thread that is to park already, ENOSYS for one that has ended.
///
/// # Safety
/// `task` is a kernel thread that the caller keeps.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_park(task: *mut sys::task_struct) -> c_int {
    // SAFETY: the caller's contract.
    let task = unsafe { Task::from_sys(task) };
    let kthread = kthread_of(task);
    if task.state().load(Ordering::SeqCst) == sys::TASK_DEAD {
        return Errno::ENOSYS.neg();
    }
    if kthread.flags.fetch_or(SHOULD_PARK, Ordering::SeqCst) & SHOULD_PARK != 0 {
        context::warn(task.kernel, &format!("kthread_park of {}, which is parked", task.comm()));
        return Errno::EBUSY.neg();
    }
    if !ptr::eq(task, current_task()) {
        wake_up(task, NORMAL);
        kthread.parked.wait();
    }
    0
}

/// Takes the request to park back, and lets a parked thread go on.
///
/// # Safety
/// `task` is a kernel thread that the caller keeps.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_unpark(task: *mut sys::task_struct) {
    // SAFETY: the caller's contract.
    let task = unsafe { Task::from_sys(task) };
    unpark(task, kthread_of(task));
}

/// Parks the calling thread for as long as it is asked to, and returns at once when it is not.
///
/// # Safety
/// The calling task is a kernel thread.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kthread_parkme() {
    let task = current_task();
    park_if_asked(task, kthread_of(task));
}

#[cfg(test)]
mod tests;
