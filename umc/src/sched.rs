// SPDX-License-Identifier: GPL-2.0-only
//! Tasks.
//!
//! C header: `include/linux/sched.h`, `include/linux/sched/*.h` (API of 6.12).
//! Guarantees kept: state first, test second, sleep third never loses a wake-up; `schedule` flushes the plug of the
//! task before it sleeps; a task struct outlives its thread by a grace period of RCU.
//! Differs from Linux: a task is a thread of the provider, and `task_struct::__state` is the very word that it parks
//! on. Threads that this kernel did not make become tasks with [`attach`].
//! One circle of modules is honest, for a task logs and the log names its task: `bug`, `context`, `cpumask`, `creds`,
//! `hung`, `jiffies`, `printk`, `ratelimit`, `rcu_section`, `sched`, `signal`, `sleep`.
//! Used by DRBD for: `current`, `schedule`, `schedule_timeout*`, `wake_up_process`, `task_struct::{comm, pid, plug}`.

pub(crate) mod abi;
pub mod bug;
pub mod context;
pub mod cpumask;
mod creds;
mod hung;
pub mod jiffies;
pub(crate) mod policy;
pub mod printk;
pub mod random;
pub mod ratelimit;
pub(crate) mod raw_spin;
pub(crate) mod rcu_section;
pub mod signal;
mod sleep;
pub mod utsname;
pub mod uuid;
pub(crate) mod waiters;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use mte::sim::lock::Mutex;

use crate::signal::Signals;
use crate::{Kernel, sys};

pub(crate) use creds::set_creds;
pub use creds::{Comm, Creds, current_creds, with_comm, with_creds};
pub(crate) use hung::{hung, report_stack};
pub(crate) use sleep::{
    is_worker, schedule, schedule_timeout, schedule_until, set_state, sleep_in_host,
    sleep_in_recvmsg, wake_up,
};
pub use sleep::{sleep_on_caller, sleep_on_fd};

/// What the floors above do at the turns in a task's life: the root of the kernel knows them, the scheduler does not.
///
/// An honest knot stays on this floor: a task that logs, a log that names the task, a report of either with its context
/// and its time. `sched`, `context`, `printk`, `bug`, `signal`, `jiffies`, `cpumask` use each other.
pub(crate) struct Above {
    /// A task was made; none of the caller's locks is held. Never sleeps.
    pub(crate) task_made: fn(&'static Kernel),
    /// A task ended: its own reference, to be dropped when no reader can see it. Never sleeps.
    pub(crate) task_ended: fn(TaskRef),
    /// A reader of RCU left its section while somebody waits for readers. Never sleeps.
    pub(crate) reader_left: fn(&Task),
    /// A worker of a work queue is about to sleep: another one may run.
    pub(crate) worker_sleeps: fn(&Task),
    /// It runs again.
    pub(crate) worker_runs: fn(&Task),
    /// The task has a plug and is about to sleep.
    pub(crate) flush_plug: fn(*mut sys::task_struct),
    /// The task is about to sleep: what it sent goes out. Never sleeps.
    pub(crate) flush_sends: fn(),
}

/// State of this subsystem in one kernel.
pub struct State {
    above: &'static Above,
    tasks: Mutex<BTreeMap<i32, TaskPtr>>,
    last_pid: AtomicI32,
    pub(crate) context: context::State,
    pub(crate) cpus: crate::cpumask::State,
    pub(crate) sections: rcu_section::Sections,
    pub(crate) init_task: InitTask,
}

/// What `init_task` stands for in C: an address. It is no [`Task`], and nobody runs it.
#[derive(Default)]
pub(crate) struct InitTask(std::cell::UnsafeCell<sys::task_struct>);

// SAFETY: nobody looks into it.
unsafe impl Sync for InitTask {}
// SAFETY: as above.
unsafe impl Send for InitTask {}

impl State {
    pub(crate) fn new(above: &'static Above) -> State {
        State {
            above,
            tasks: Default::default(),
            last_pid: Default::default(),
            context: Default::default(),
            cpus: Default::default(),
            sections: Default::default(),
            init_task: InitTask::default(),
        }
    }
}

/// A task: what C sees, and behind it what is ours.
///
/// # Invariants
/// Made by [`Task::create`] only, so a `task_struct` pointer is always a pointer to a `Task`. Fields in `Cell`s are
/// used by the task's own thread only.
#[repr(C)]
pub(crate) struct Task {
    sys: std::cell::UnsafeCell<sys::task_struct>,
    /// The kernel that the task belongs to.
    pub(crate) kernel: &'static Kernel,
    /// Depth of atomic sections; see [`context`].
    pub(crate) atomic: Cell<u64>,
    /// Where the outermost atomic section began, once somebody slept in one.
    pub(crate) atomic_entry: RefCell<Option<crate::bug::stack::Trace>>,
    /// The CPU that is the task's own until its outermost atomic section ends; see [`crate::cpumask`].
    pub(crate) own_cpu: Cell<Option<u32>>,
    /// Wake-ups that wait for the end of the atomic section.
    pub(crate) deferred: sleep::Deferred,
    /// The grace period in which the outermost section began, or 0 outside of sections.
    pub(crate) rcu: AtomicU64,
    /// Signals that are accepted and pending.
    pub(crate) signals: Signals,
    /// The thread that it is, for the host; 0 before that runs.
    thread: AtomicI32,
    /// What the task sleeps in, since when, and on which object.
    waits_in: AtomicPtr<&'static str>,
    waits_on: AtomicUsize,
    waits_since: AtomicU64,
    /// Only of a kernel thread: what `kthread` keeps of it.
    pub(crate) kthread: Option<Box<dyn Any>>,
    /// Only of a worker: its number in the work queues.
    pub(crate) worker: Cell<*const ()>,
}

// SAFETY: fields in cells belong to the task's own thread (invariant of the type); the others are atomics, or are
// written before the task is shared; `sys` is only accessed through raw pointers, as the C side does.
unsafe impl Sync for Task {}
// SAFETY: nothing in a task is tied to a thread before it runs.
unsafe impl Send for Task {}

/// `task_struct::comm`.
type RawComm = [std::ffi::c_char; sys::TASK_COMM_LEN as usize];

/// A name, cut to what fits with its NUL.
fn raw_comm(name: &[u8]) -> RawComm {
    let mut cut = [0; sys::TASK_COMM_LEN as usize];
    for (to, from) in cut[..sys::TASK_COMM_LEN as usize - 1].iter_mut().zip(name) {
        *to = *from as _;
    }
    cut
}

#[derive(Clone, Copy)]
struct TaskPtr(NonNull<Task>);

// SAFETY: `Task` is `Sync`; the list removes a pointer before the task goes away.
unsafe impl Send for TaskPtr {}

/// A counted reference to a task.
pub(crate) struct TaskRef(NonNull<Task>);

// SAFETY: `Task` is `Send` and `Sync`, the count is atomic.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// Takes over a reference that is already counted.
    ///
    /// # Safety
    /// `task` is valid and one of its references is the caller's to give.
    pub(crate) unsafe fn from_raw(task: *const Task) -> TaskRef {
        // SAFETY: `task` is valid, hence not null.
        TaskRef(unsafe { NonNull::new_unchecked(task.cast_mut()) })
    }

    /// Gives the reference away; the counterpart of [`TaskRef::from_raw`].
    pub(crate) fn into_raw(self) -> *const Task {
        let raw = self.0.as_ptr();
        std::mem::forget(self);
        raw
    }
}

impl Deref for TaskRef {
    type Target = Task;
    fn deref(&self) -> &Task {
        // SAFETY: the reference that this value stands for keeps the task.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> TaskRef {
        self.get()
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and this value is gone after this.
        unsafe { Task::put(self.0.as_ptr()) }
    }
}

impl Task {
    /// A new task of `kernel`, listed, with one reference and in state `state`.
    pub(crate) fn create(
        kernel: &'static Kernel,
        comm: &str,
        flags: u32,
        state: u32,
        kthread: Option<Box<dyn Any>>,
    ) -> TaskRef {
        rcu_section::init();
        let pid = kernel.sched.last_pid.fetch_add(1, Ordering::Relaxed) + 2;
        let prio = sys::DEFAULT_PRIO as i32;
        let task = Box::leak(Box::new(Task {
            sys: std::cell::UnsafeCell::new(sys::task_struct {
                __state: state,
                flags,
                pid,
                tgid: pid,
                prio,
                static_prio: prio,
                normal_prio: prio,
                nr_cpus_allowed: crate::cpumask::count(kernel) as i32,
                cpus_mask: crate::cpumask::online(kernel),
                start_time: kernel.ops.now_ns(),
                ..Default::default()
            }),
            kernel,
            atomic: Cell::new(0),
            atomic_entry: RefCell::new(None),
            own_cpu: Cell::new(None),
            deferred: sleep::Deferred::new(),
            rcu: AtomicU64::new(0),
            signals: Signals::new(flags & sys::PF_KTHREAD != 0),
            thread: AtomicI32::new(0),
            waits_in: AtomicPtr::new(ptr::null_mut()),
            waits_on: AtomicUsize::new(0),
            waits_since: AtomicU64::new(0),
            kthread,
            worker: Cell::new(ptr::null()),
        }));
        let raw = task.sys.get();
        // SAFETY: the task is not shared yet.
        unsafe {
            (*raw).usage.refs.counter = 1;
            (*raw).group_leader = raw;
            (*raw).nsproxy = nsproxy();
            (*raw).cpus_ptr = &raw const (*raw).cpus_mask;
        }
        task.set_comm(comm);
        (kernel.sched.above.task_made)(kernel);
        kernel.sched.tasks.lock().insert(pid, TaskPtr(NonNull::from(&*task)));
        // SAFETY: the count was set to one for this reference.
        unsafe { TaskRef::from_raw(task) }
    }

    /// # Safety
    /// `task` came from [`Task::create`], and is kept by a reference for as long as the result is used.
    pub(crate) unsafe fn from_sys<'a>(task: *mut sys::task_struct) -> &'a Task {
        // SAFETY: the caller's contract; `sys` is the first field.
        unsafe { &*task.cast::<Task>() }
    }

    pub(crate) fn as_sys(&self) -> *mut sys::task_struct {
        self.sys.get()
    }

    /// The word that the task parks on.
    #[inline]
    pub(crate) fn state(&self) -> &AtomicU32 {
        // SAFETY: the field lives as long as the task, and both sides access it atomically.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.sys.get()).__state) }
    }

    pub(crate) fn pid(&self) -> i32 {
        // SAFETY: never written after the creation.
        unsafe { (*self.sys.get()).pid }
    }

    /// `PF_` bits.
    pub(crate) fn flags(&self) -> u32 {
        // SAFETY: a plain word, written by the task itself only.
        unsafe { (&raw const (*self.sys.get()).flags).read() }
    }

    pub(crate) fn set_flags(&self, flags: u32) {
        // SAFETY: the caller is the task itself.
        unsafe { (&raw mut (*self.sys.get()).flags).write(self.flags() | flags) }
    }

    pub(crate) fn set_exit_code(&self, code: i32) {
        // SAFETY: the caller is the task itself; readers wait for its end.
        unsafe {
            (&raw mut (*self.sys.get()).exit_code).write(code);
            (&raw mut (*self.sys.get()).exit_state).write(sys::EXIT_ZOMBIE as i32);
        }
    }

    pub(crate) fn plug(&self) -> *mut sys::blk_plug {
        // SAFETY: a plain word, used by the task itself only.
        unsafe { (&raw const (*self.sys.get()).plug).read() }
    }

    /// The name. Drivers write it in place, so it is read bytewise and may be torn.
    pub(crate) fn comm(&self) -> String {
        crate::string::lossy_chars(&self.raw_comm())
    }

    fn raw_comm(&self) -> RawComm {
        // SAFETY: the array lives as long as the task; a torn name is accepted.
        unsafe { (&raw const (*self.sys.get()).comm).read_volatile() }
    }

    fn set_raw_comm(&self, comm: RawComm) {
        // SAFETY: the array lives as long as the task; readers accept a torn name.
        unsafe { (&raw mut (*self.sys.get()).comm).write_volatile(comm) }
    }

    pub(crate) fn set_comm(&self, comm: &str) {
        self.set_raw_comm(raw_comm(comm.as_bytes()));
    }

    fn usage(&self) -> &AtomicI32 {
        // SAFETY: the field lives as long as the task, and both sides access it atomically.
        unsafe { AtomicI32::from_ptr(&raw mut (*self.sys.get()).usage.refs.counter) }
    }

    /// Another reference.
    pub(crate) fn get(&self) -> TaskRef {
        let old = self.usage().fetch_add(1, Ordering::Relaxed);
        debug_assert!(old > 0, "a task was used after its end");
        // SAFETY: counted just now.
        unsafe { TaskRef::from_raw(self) }
    }

    /// Drops a reference, and the task with the last one.
    ///
    /// # Safety
    /// The reference is the caller's to drop.
    pub(crate) unsafe fn put(task: *const Task) {
        // SAFETY: the caller's reference keeps the task until this line.
        if unsafe { (*task).usage().fetch_sub(1, Ordering::AcqRel) } == 1 {
            // SAFETY: that was the last reference, and the task was boxed by `create`.
            drop(unsafe { Box::from_raw(task.cast_mut()) });
        }
    }

    /// Notes what the task is about to sleep in, for the reports.
    #[inline]
    pub(crate) fn set_wait(&self, place: &'static &'static str, object: usize) {
        self.waits_on.store(object, Ordering::Relaxed);
        self.waits_in.store(ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
    }

    /// The calling thread is this task from now on.
    fn settle_on_thread(&self) {
        self.thread.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
        crate::bug::prepare_thread();
    }

    /// The task does not sleep after all, or not any more.
    #[inline]
    pub(crate) fn clear_wait(&self) {
        self.waits_in.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// The end of a task: it leaves the list, and its own reference is dropped after a grace period.
    pub(crate) fn exit(task: TaskRef) {
        task.set_flags(sys::PF_EXITING);
        task.state().store(sys::TASK_DEAD, Ordering::SeqCst);
        task.kernel.sched.tasks.lock().remove(&task.pid());
        if CURRENT.get() == task.0.as_ptr() {
            CURRENT.set(ptr::null());
        }
        (task.kernel.sched.above.task_ended)(task);
    }

    /// In a simulation, a place where another task may get its turn: primitives whose fast path does not call the table
    /// would otherwise be atomic, and hide races.
    #[inline]
    pub(crate) fn preempt_point(&self) {
        if self.kernel.ops.is_simulated != 0 {
            mte::sim::preempt_point();
        }
    }

    pub(crate) fn info(&self) -> TaskInfo {
        let place = self.waits_in.load(Ordering::Relaxed);
        let since_ns = self.waits_since.load(Ordering::Relaxed);
        // SAFETY: only ever set from a `&'static`.
        let place = (!place.is_null() && since_ns != 0).then(|| unsafe { *place });
        TaskInfo {
            pid: self.pid(),
            comm: self.comm(),
            state: self.state().load(Ordering::Relaxed),
            kernel_thread: self.flags() & sys::PF_KTHREAD != 0,
            waits_in: place,
            waits_on: self.waits_on.load(Ordering::Relaxed),
            waits_since_ns: since_ns,
        }
    }
}

/// A task as reports show it.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// Its number in its kernel.
    pub pid: i32,
    /// Its name.
    pub comm: String,
    /// `TASK_` bits; 0 is running.
    pub state: u32,
    /// Made by `kthread_create`, not attached.
    pub kernel_thread: bool,
    /// What it sleeps in.
    pub waits_in: Option<&'static str>,
    /// The address of the lock, queue or completion that it sleeps on, or 0.
    pub waits_on: usize,
    /// When it went to sleep, on the monotonic clock; 0 when it does not sleep.
    pub waits_since_ns: u64,
}

impl TaskInfo {
    /// The letter that ps(1) shows for the state.
    pub fn state_letter(&self) -> char {
        match self.state {
            sys::TASK_RUNNING => 'R',
            state if state & sys::TASK_INTERRUPTIBLE != 0 => 'S',
            state if state & sys::TASK_NOLOAD != 0 => 'I',
            state if state & sys::TASK_UNINTERRUPTIBLE != 0 => 'D',
            state if state & sys::TASK_PARKED != 0 => 'P',
            _ => 'X',
        }
    }
}

thread_local! {
    static CURRENT: Cell<*const Task> = const { Cell::new(ptr::null()) };
    static ATTACHED: Attached = const { Attached(RefCell::new(Vec::new())) };
}

/// The tasks of a thread that this kernel did not make, one for each kernel; they end with the thread.
struct Attached(RefCell<Vec<TaskRef>>);

impl Drop for Attached {
    fn drop(&mut self) {
        for task in self.0.borrow_mut().drain(..) {
            Task::exit(task);
        }
    }
}

/// The task of the calling thread.
///
/// # Panics
/// On a thread that has none: [`attach`] was forgotten.
#[inline]
pub(crate) fn current_task() -> &'static Task {
    let task = CURRENT.get();
    assert!(!task.is_null(), "this thread is no task of a kernel: sched::attach was forgotten");
    // SAFETY: the thread holds a reference until it clears `CURRENT` at its end. The borrow is called static because
    // it cannot outlive the thread in practice: `Task` references are never sent to another thread without `get`.
    unsafe { &*task }
}

/// The task of the calling thread, if it has one.
pub(crate) fn try_current() -> Option<&'static Task> {
    // SAFETY: as in `current_task`.
    unsafe { CURRENT.get().as_ref() }
}

/// Makes `task` the calling thread's for good: the first thing a kernel thread does.
pub(crate) fn become_task(task: &Task) {
    task.settle_on_thread();
    CURRENT.set(task);
}

/// The namespaces of all tasks: functions that take a `struct net` ask the host, whichever it is.
fn nsproxy() -> *mut sys::nsproxy {
    struct Shared(std::cell::UnsafeCell<sys::nsproxy>);
    // SAFETY: nobody writes to it.
    unsafe impl Sync for Shared {}
    static ALL: Shared =
        Shared(std::cell::UnsafeCell::new(sys::nsproxy { net_ns: ptr::null_mut() }));
    ALL.0.get()
}

/// `current` of this thread.
///
/// # Panics
/// On a thread that was never attached.
pub fn current() -> *mut sys::task_struct {
    current_task().as_sys()
}

/// The kernel of the calling task.
#[inline]
pub(crate) fn current_kernel() -> &'static Kernel {
    current_task().kernel
}

/// Gives the calling thread a task of `kernel` and makes it its current one. A thread has at most one task in each
/// kernel; it ends with the thread.
pub fn attach(kernel: &'static Kernel, comm: &str) {
    if try_current().is_some_and(|task| ptr::eq(task.kernel, kernel)) {
        return;
    }
    let found = ATTACHED.with(|attached| {
        let attached = attached.0.borrow();
        attached.iter().find(|task| ptr::eq(task.kernel, kernel)).map(|task| task.0.as_ptr())
    });
    let task = found.unwrap_or_else(|| {
        let task = Task::create(kernel, comm, 0, sys::TASK_RUNNING, None);
        task.settle_on_thread();
        let raw = task.0.as_ptr();
        ATTACHED.with(|attached| attached.0.borrow_mut().push(task));
        raw
    });
    CURRENT.set(task);
}

/// Runs `f` as a task of `kernel`, whatever the calling thread is: for callbacks on threads of the provider.
pub fn with_kernel<R>(kernel: &'static Kernel, f: impl FnOnce() -> R) -> R {
    struct Restore(*const Task);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let before = CURRENT.get();
    attach(kernel, "callback");
    let _restore = Restore(before);
    f()
}

/// A snapshot of all tasks, each kept by a reference.
pub(crate) fn all_tasks(kernel: &'static Kernel) -> Vec<TaskRef> {
    // SAFETY: a task leaves the list before its own reference is dropped, so under the lock each is alive.
    kernel.sched.tasks.lock().values().map(|task| unsafe { task.0.as_ref() }.get()).collect()
}

/// Every task of `kernel`, by pid.
pub fn tasks(kernel: &'static Kernel) -> Vec<TaskInfo> {
    all_tasks(kernel).iter().map(|task| task.info()).collect()
}

/// The tasks that have been in uninterruptible sleep for longer than `older_than_ns`.
pub fn hung_tasks(kernel: &'static Kernel, older_than_ns: u64) -> Vec<TaskInfo> {
    hung(kernel, older_than_ns).into_iter().map(|(_, info)| info).collect()
}

/// The task that the calling thread is: `current`.
///
/// # Safety
/// None: the result is valid while the calling thread lives.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_current() -> *mut sys::task_struct {
    current()
}

/// Takes another reference to `task`, which keeps its memory; gives `task`.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_task_struct(task: *mut sys::task_struct) -> *mut sys::task_struct {
    // SAFETY: the caller's contract.
    unsafe { Task::from_sys(task) }.get().into_raw();
    task
}

/// A task that never runs, and nobody looks into: the first one of a machine, `init_task`.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_init_task() -> *mut sys::task_struct {
    current_kernel().sched.init_task.0.get()
}

/// Drops a reference to `task`, which is freed with the last one.
///
/// # Safety
/// The reference is the caller's to drop.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn put_task_struct(task: *mut sys::task_struct) {
    // SAFETY: the caller's contract.
    unsafe { Task::put(task.cast::<Task>()) }
}

#[cfg(test)]
mod tests;
