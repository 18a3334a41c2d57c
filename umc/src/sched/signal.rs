// SPDX-License-Identifier: GPL-2.0-only
//! Signals.
//!
//! C header: `include/linux/signal.h`, `include/linux/sched/signal.h` (API of 6.12).
//! Guarantees kept: a kernel thread ignores what it did not allow; a signal ends every interruptible sleep, that in a
//! socket call of the thread included, and stays pending until it is flushed.
//! Differs from Linux: the pending signals are a mask without siginfo, and no signal of the host is involved.
//! Used by DRBD for: `DRBD_SIGKILL` and `SIGXCPU` to its own threads, to interrupt their socket calls and sleeps.

use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::errno::Errno;
use crate::sched::{Task, TaskRef, current_task, wake_up};
use crate::sys;

const fn bit(sig: c_int) -> u64 {
    1 << (sig - 1)
}

const SIGKILL: u64 = bit(libc::SIGKILL);

/// The signals of one task.
pub(crate) struct Signals {
    pending: AtomicU64,
    /// Pending ones of these wait until they are unblocked.
    blocked: AtomicU64,
    /// Accepted from anybody.
    allowed: AtomicU64,
    /// Accepted from the kernel.
    allowed_kernel: AtomicU64,
    /// `kthread_stop` was called: every interruptible sleep ends, without a signal to flush.
    notified: AtomicBool,
}

impl Signals {
    pub(crate) fn new(kernel_thread: bool) -> Signals {
        let allowed = if kernel_thread { 0 } else { u64::MAX };
        Signals {
            pending: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            allowed: AtomicU64::new(allowed),
            allowed_kernel: AtomicU64::new(allowed),
            notified: AtomicBool::new(false),
        }
    }

    /// `signal_pending`.
    #[inline]
    pub(crate) fn pending(&self) -> bool {
        self.deliverable() != 0 || self.notified.load(Ordering::SeqCst)
    }

    #[inline]
    fn deliverable(&self) -> u64 {
        self.pending.load(Ordering::SeqCst) & !self.blocked.load(Ordering::Relaxed)
    }

    /// `signal_pending_state`: whether a sleep in `state` ends now.
    #[inline]
    pub(crate) fn interrupts(&self, state: u32) -> bool {
        state & (sys::TASK_INTERRUPTIBLE | sys::TASK_WAKEKILL) != 0
            && self.pending()
            && (state & sys::TASK_INTERRUPTIBLE != 0 || self.killed())
    }

    fn killed(&self) -> bool {
        self.deliverable() & SIGKILL != 0
    }
}

/// Ends the interruptible sleep of `task`, and every later one, without a signal.
pub(crate) fn notify(task: &Task) {
    task.signals.notified.store(true, Ordering::SeqCst);
    wake_up(task, sys::TASK_INTERRUPTIBLE);
}

/// Sends `sig` to `task`; the sender is the kernel when `from_kernel`. Ignored unless the task allowed it.
pub(crate) fn send(sig: c_int, task: &Task, from_kernel: bool) -> Result<(), Errno> {
    if !(0..=sys::_NSIG as c_int).contains(&sig) {
        return Err(Errno::EINVAL);
    }
    if sig == 0 {
        return Ok(());
    }
    let signals = &task.signals;
    let allowed = signals.allowed.load(Ordering::Acquire);
    let allowed_kernel = signals.allowed_kernel.load(Ordering::Acquire);
    if bit(sig) & (allowed | if from_kernel { allowed_kernel } else { 0 }) != 0 {
        deliver(sig, task);
    }
    Ok(())
}

fn deliver(sig: c_int, task: &Task) {
    task.signals.pending.fetch_or(bit(sig), Ordering::SeqCst);
    let kill = if sig == libc::SIGKILL { sys::TASK_WAKEKILL } else { 0 };
    wake_up(task, sys::TASK_INTERRUPTIBLE | kill);
}

/// Interrupts a task that serves a request, for its caller.
pub struct Interrupter(TaskRef);

impl Interrupter {
    /// The caller got a signal: interruptible sleeps of the task end. Any context.
    pub fn interrupt(&self) {
        deliver(libc::SIGINT, &self.0);
    }

    /// The caller is gone: killable sleeps end as well. Any context.
    pub fn kill(&self) {
        deliver(libc::SIGKILL, &self.0);
    }
}

/// Runs `f`, which serves a request, with signals accepted as by the program that made it. None is left pending at the end,
/// by when the interrupter must not be used any more.
pub fn interruptible<R>(f: impl FnOnce(Interrupter) -> R) -> R {
    struct Restore(&'static Task, u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.signals.allowed.store(self.1, Ordering::Release);
            self.0.signals.pending.store(0, Ordering::SeqCst);
        }
    }
    let task = current_task();
    let _restore = Restore(task, task.signals.allowed.swap(u64::MAX, Ordering::AcqRel));
    f(Interrupter(task.get()))
}

fn valid(sig: c_int) -> bool {
    (1..=sys::_NSIG as c_int).contains(&sig)
}

/// Lets `sig` reach the calling task from any sender; until then it is dropped. A number that is no
/// signal is overlooked.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any context of a kernel thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allow_signal(sig: c_int) {
    if valid(sig) {
        current_task().signals.allowed.fetch_or(bit(sig), Ordering::AcqRel);
    }
}

/// Lets `sig` reach the calling task from the kernel; from others it is still dropped.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any context of a kernel thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allow_kernel_signal(sig: c_int) {
    if valid(sig) {
        current_task().signals.allowed_kernel.fetch_or(bit(sig), Ordering::AcqRel);
    }
}

/// Drops `sig` for the calling task from now on, and one that is pending.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any context of a kernel thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn disallow_signal(sig: c_int) {
    if valid(sig) {
        let signals = &current_task().signals;
        signals.allowed.fetch_and(!bit(sig), Ordering::AcqRel);
        signals.allowed_kernel.fetch_and(!bit(sig), Ordering::AcqRel);
        signals.pending.fetch_and(!bit(sig), Ordering::AcqRel);
    }
}

/// Sends `sig` to `task` and ends its interruptible sleep; one that the task does not allow is
/// dropped, which is no error. -EINVAL for a number that is none.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send_sig(
    sig: c_int,
    task: *mut sys::task_struct,
    from_kernel: c_int,
) -> c_int {
    // SAFETY: the caller's contract.
    crate::errno::to_ret(send(sig, unsafe { Task::from_sys(task) }, from_kernel != 0))
}

/// [`send_sig`], from the kernel if `info` is `SEND_SIG_PRIV`; nothing else of `info` is kept.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller; `info` is `SEND_SIG_NOINFO` or `SEND_SIG_PRIV`.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn send_sig_info(
    sig: c_int,
    info: *mut sys::kernel_siginfo,
    task: *mut sys::task_struct,
) -> c_int {
    // SAFETY: `task` is kept by a reference or a lock of the caller.
    crate::errno::to_ret(send(sig, unsafe { Task::from_sys(task) }, info.addr() == 1))
}

/// Sends `sig` to the calling task, allowed or not.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any. Never sleeps.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn force_sig(sig: c_int) {
    if valid(sig) {
        deliver(sig, current_task());
    }
}

/// Drops every pending signal of `task`.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flush_signals(task: *mut sys::task_struct) {
    // SAFETY: the caller's contract.
    unsafe { Task::from_sys(task) }.signals.pending.store(0, Ordering::SeqCst);
}

/// Takes the pending signal with the lowest number; 0 when there is none.
///
/// # Safety
/// None beyond a task on the calling thread.
/// # Context
/// Any context of a kernel thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernel_dequeue_signal() -> c_int {
    let signals = &current_task().signals;
    let mask = signals.deliverable();
    if mask == 0 {
        return 0;
    }
    let sig = mask.trailing_zeros() as c_int + 1;
    signals.pending.fetch_and(!bit(sig), Ordering::SeqCst);
    sig
}

/// Whether `task` has a signal that ends an interruptible sleep.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn signal_pending(task: *mut sys::task_struct) -> bool {
    // SAFETY: the caller's contract.
    let task = unsafe { Task::from_sys(task) };
    task.preempt_point();
    task.signals.pending()
}

/// Whether `task` has a pending SIGKILL.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fatal_signal_pending(task: *mut sys::task_struct) -> bool {
    // SAFETY: the caller's contract.
    unsafe { Task::from_sys(task) }.signals.killed()
}

/// [`fatal_signal_pending`].
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __fatal_signal_pending(task: *mut sys::task_struct) -> bool {
    // SAFETY: the caller's contract.
    unsafe { fatal_signal_pending(task) }
}

/// Whether a signal would end a sleep of `task` in `state`.
///
/// # Safety
/// `task` is kept by a reference or a lock of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn signal_pending_state(state: c_uint, task: *mut sys::task_struct) -> bool {
    // SAFETY: the caller's contract.
    unsafe { Task::from_sys(task) }.signals.interrupts(state)
}

/// Blocks signals of the calling task: they stay pending. SIGKILL and SIGSTOP cannot be blocked by a driver either.
///
/// # Safety
/// `set` is NULL or valid, `old` as well.
/// # Context
/// Any.
#[unsafe(export_name = "umc_sigprocmask")]
pub unsafe extern "C" fn sigprocmask(
    how: c_int,
    set: *mut sys::sigset_t,
    old: *mut sys::sigset_t,
) -> c_int {
    let blocked = &current_task().signals.blocked;
    let before = blocked.load(Ordering::Relaxed);
    // SAFETY: `set` is NULL or valid.
    if let Some(set) = unsafe { set.as_ref() } {
        let mask = match how as c_uint {
            sys::SIG_BLOCK => before | set.sig[0],
            sys::SIG_UNBLOCK => before & !set.sig[0],
            sys::SIG_SETMASK => set.sig[0],
            _ => return Errno::EINVAL.neg(),
        };
        blocked.store(mask & !(SIGKILL | bit(libc::SIGSTOP)), Ordering::SeqCst);
    }
    // SAFETY: `old` is NULL or valid.
    if let Some(old) = unsafe { old.as_mut() } {
        old.sig[0] = before;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Kernel, sched};

    #[test]
    fn a_task_is_interrupted_for_its_caller_and_not_afterwards() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = current_task();
        interruptible(|interrupter| {
            assert!(!task.signals.pending());
            interrupter.interrupt();
            assert!(task.signals.interrupts(sys::TASK_INTERRUPTIBLE) && !task.signals.killed());
            interrupter.kill();
            assert!(task.signals.killed());
        });
        assert!(!task.signals.pending());
    }

    #[test]
    fn a_kernel_thread_gets_what_it_allowed() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        let task = Task::create(kernel, "k", sys::PF_KTHREAD, sys::TASK_RUNNING, None);
        send(libc::SIGHUP, &task, true).unwrap();
        assert!(!task.signals.pending());
        task.signals.allowed_kernel.store(bit(libc::SIGHUP), Ordering::Relaxed);
        send(libc::SIGHUP, &task, false).unwrap();
        assert!(!task.signals.pending());
        send(libc::SIGHUP, &task, true).unwrap();
        assert!(task.signals.interrupts(sys::TASK_INTERRUPTIBLE));
        assert!(!task.signals.interrupts(sys::TASK_UNINTERRUPTIBLE));
        assert!(!task.signals.interrupts(sys::TASK_UNINTERRUPTIBLE | sys::TASK_WAKEKILL));
        assert_eq!(send(65, &task, true), Err(Errno::EINVAL));
        task.signals.blocked.store(bit(libc::SIGHUP), Ordering::Relaxed);
        assert!(!task.signals.interrupts(sys::TASK_INTERRUPTIBLE));
        Task::exit(task);
    }
}
