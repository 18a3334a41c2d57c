// SPDX-License-Identifier: GPL-2.0-only
//! The host threads below the tasks.
//!
//! They are made with pthread_create(3) and joined with pthread_join(3), because a thread that must not run again is
//! ended by the bare system call: std knows no such end, while a join of the C library frees the stack even then.

use std::cell::Cell;
use std::ffi::{CString, c_int, c_void};
use std::io::Write;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::HostId;
use super::state::{Core, Id, State, Status, Task};
use crate::ops::{ThreadMain, Wake};

const HELD_BACK: u32 = 0;
const GO: u32 = 1;
const EXIT: u32 = 2;

/// What a thread waits for while another one runs.
#[derive(Default)]
pub(super) struct Baton(AtomicU32);

impl Baton {
    fn set(&self, value: u32) {
        self.0.store(value, Ordering::Release);
        // SAFETY: FUTEX_WAKE uses the address only as a key.
        unsafe {
            let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), op, 1);
        }
    }

    /// Lets the thread run.
    pub fn go(&self) {
        self.set(GO);
    }

    /// Ends the thread where it waits, or will.
    pub fn exit(&self) {
        self.set(EXIT);
    }

    /// Waits for [`Baton::go`]; false after `timeout`. Does not return after [`Baton::exit`].
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let relative = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let relative = relative.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        loop {
            match self.0.compare_exchange(GO, HELD_BACK, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return true,
                Err(EXIT) => exit_thread(),
                Err(_) => {}
            }
            let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
            // SAFETY: the word and the timeout live through the call.
            let ret =
                unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), op, HELD_BACK, relative) };
            let error = std::io::Error::last_os_error().raw_os_error();
            if ret < 0 && error == Some(libc::ETIMEDOUT) {
                return false;
            }
        }
    }
}

/// Ends the calling thread without running anything more in it.
fn exit_thread() -> ! {
    loop {
        // SAFETY: the thread's frames are never used again (contract of the simulator); the C library sees its end as
        // that of any thread, by the word that the kernel clears.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// A task, as its own thread knows it.
pub(super) struct Me {
    pub core: &'static Core,
    pub id: Id,
    pub baton: Baton,
}

thread_local! {
    // Without destructors, so that they can be read until the very end of the thread.
    static ME: Cell<Option<&'static Me>> = const { Cell::new(None) };
    static EXITING: Cell<bool> = const { Cell::new(false) };
    static NO_PREEMPT: Cell<u32> = const { Cell::new(0) };
}

/// The calling thread's task.
pub(super) fn me() -> Option<&'static Me> {
    ME.get()
}

/// The calling thread's task, if it is one of this simulation.
pub(super) fn me_of(core: &'static Core) -> Option<&'static Me> {
    ME.get().filter(|me| std::ptr::eq(me.core, core))
}

/// Whether the task has ended and only the destructors of its thread-local variables run.
pub(super) fn is_exiting() -> bool {
    EXITING.get()
}

/// Counts sections in which the calling thread is not preempted.
pub(super) fn add_no_preempt(change: i32) {
    NO_PREEMPT.set(NO_PREEMPT.get().wrapping_add_signed(change));
}

pub(super) fn may_preempt() -> bool {
    NO_PREEMPT.get() == 0 && !EXITING.get()
}

/// Ends the process: a thread that is no task of a simulation used it.
#[cold]
pub(super) fn refuse(core: &'static Core, does: &str) -> ! {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("?");
    let (seed, who) =
        (core.seed, if ME.get().is_some() { "a task of another one" } else { "no task" });
    let _ = writeln!(
        std::io::stderr(),
        "mte: thread {name} {does} (seed {seed}), but it is {who} of it"
    );
    std::process::abort();
}

/// What a task runs.
pub(super) enum Main {
    Table(ThreadMain, *mut c_void),
    Rust(Box<dyn FnOnce() + Send>),
    /// The root task of a run; the flag pins it, and so all that it starts, to one processor.
    Root(Box<dyn FnOnce() + Send>, bool),
    Provider(HostId),
}

impl Main {
    fn run(self, me: &'static Me) {
        match self {
            // SAFETY: the table's contract: `main` takes `arg`, once.
            Main::Table(main, arg) => unsafe { main(arg) },
            Main::Rust(main) | Main::Root(main, _) => main(),
            Main::Provider(host) => me.core.provide(me, host),
        }
    }
}

struct Start {
    me: *const Me,
    name: CString,
    main: Main,
}

/// Pins the calling thread, and those that it starts, to one of the processors it may use: the next one each time.
fn pin() {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: all-zero is an empty set, and it lives through the call.
    let (ret, allowed) =
        unsafe { (libc::sched_getaffinity(0, size, set.as_mut_ptr()), set.assume_init_ref()) };
    // SAFETY: the numbers are within the set.
    let is_set = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, allowed) };
    let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(is_set).collect();
    if ret < 0 || cpus.is_empty() {
        return;
    }
    let mut one = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all-zero is an empty set; the number is within it; it lives through the call. A refusal costs speed only.
    unsafe {
        libc::CPU_SET(
            cpus[NEXT.fetch_add(1, Ordering::Relaxed) % cpus.len()],
            one.assume_init_mut(),
        );
        libc::sched_setaffinity(0, size, one.as_ptr());
    }
}

extern "C" fn thread_entry(arg: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passes a box of this type to one thread.
    let Start { me, name, main } = *unsafe { Box::from_raw(arg.cast::<Start>()) };
    // SAFETY: the task keeps it until this thread was joined.
    let me: &'static Me = unsafe { &*me };
    // SAFETY: the name is a C string; what does not fit is cut.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    let is_root = matches!(main, Main::Root(..));
    if let Main::Root(_, true) = main {
        pin();
    }
    ME.set(Some(me));
    crate::ops::set_current(me.core.ops());
    drop(name);
    me.baton.wait(None);
    me.core.reap();
    super::panics::contain(me, || main.run(me));
    EXITING.set(true);
    me.core.end_task(me, is_root);
    std::ptr::null_mut()
}

/// Waits for the end of a host thread.
pub(super) fn join(thread: libc::pthread_t) {
    // SAFETY: the thread was made by `spawn` and is joined once: whoever joins takes it out of the tasks.
    unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
}

impl State {
    /// Makes a task that is ready to run.
    ///
    /// # Errors
    /// The host's error, and what the task should have run.
    pub fn spawn(&mut self, host: HostId, name: &str, main: Main) -> Result<Id, (c_int, Main)> {
        let core = self.core.expect("set when the state was made");
        let id = self.new_id();
        let me = Arc::new(Me { core, id, baton: Baton::default() });
        let c_name: Vec<u8> = name.bytes().filter(|byte| *byte != 0).take(15).collect();
        let c_name = CString::new(c_name).unwrap_or_default();
        let start = Box::into_raw(Box::new(Start { me: Arc::as_ptr(&me), name: c_name, main }));
        let mut attr = MaybeUninit::uninit();
        let mut thread = MaybeUninit::uninit();
        // SAFETY: the attributes are initialised, used and destroyed here; `thread_entry` takes what `start` is.
        let ret = unsafe {
            libc::pthread_attr_init(attr.as_mut_ptr());
            libc::pthread_attr_setstacksize(attr.as_mut_ptr(), core.config.stack_bytes.max(65536));
            let ret = libc::pthread_create(
                thread.as_mut_ptr(),
                attr.as_ptr(),
                thread_entry,
                start.cast(),
            );
            libc::pthread_attr_destroy(attr.as_mut_ptr());
            ret
        };
        if ret != 0 {
            // SAFETY: no thread was made, so the box is still ours.
            return Err((ret, unsafe { Box::from_raw(start) }.main));
        }
        let task = Task {
            name: name.to_owned(),
            host,
            status: Status::Ready,
            wake: Wake::Unparked,
            deadline: None,
            since: self.now,
            // SAFETY: written by the successful call.
            thread: unsafe { thread.assume_init() },
            me,
        };
        self.tasks.insert(id, task);
        self.ready.push(id);
        self.spins = 0;
        Ok(id)
    }
}
