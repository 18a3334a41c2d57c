// SPDX-License-Identifier: GPL-2.0-only
//! A panic of a task fails its run, and the process goes on.
//!
//! The hook notes the panic. After it the task goes one of three ways, and ends at the first that it comes by: a call
//! of the table (of a destructor, or because somebody caught the panic), the end of the task, or abort(3), because the
//! panic came to a C function or panics abort. That is why the simulator handles SIGABRT. It cannot end the task in the
//! hook: std holds a lock then.
//!
//! Any other abort of a task ends the process, after a line that names the seed.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::outcome::Failure;
use super::state::Phase;
use super::threads::{self, Me};

thread_local! {
    static PANICKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling task panicked, so that it must go no further.
pub(super) fn is_panicking() -> bool {
    PANICKING.get()
}

/// Runs the main function of a task. A panic ends the run here at the latest.
pub(super) fn contain(me: &'static Me, main: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(main)).is_err() {
        let mut state = me.core.lock();
        // One that was thrown without a panic comes by no hook.
        let (task, message) = (state.task(me.id).name.clone(), "unwound".to_owned());
        state.failure.get_or_insert(Failure::Panicked { task, message });
        me.core.end_run(state, me);
    }
}

/// Sees to it that panics of tasks are noted, once in a process. Panics of other threads are left as they are.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !is_panicking() && !note(info) {
                previous(info);
            }
        }));
        handle_abort();
    });
}

/// Notes the panic of a task. False if it is none of a running simulation.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let Some(me) = threads::me().filter(|_| !threads::is_exiting()) else { return false };
    let trace = Backtrace::capture();
    // A panic of the simulator itself has it locked.
    let Some(mut state) = me.core.try_lock().filter(|state| state.phase == Phase::Running) else {
        return false;
    };
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let mut message = text.unwrap_or("no text").to_owned();
    if let Some(place) = info.location() {
        message.push_str(&format!(" at {place}"));
    }
    if trace.status() == BacktraceStatus::Captured {
        message.push_str(&format!("\n{trace}"));
    }
    let task = state.task(me.id).name.clone();
    state.failure = Some(Failure::Panicked { task, message });
    PANICKING.set(true);
    true
}

/// Handles SIGABRT. What was set before is lost, except the default, which a return from the handler brings about.
fn handle_abort() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let handler: extern "C" fn(c_int) = on_abort;
    // SAFETY: all-zero is an action without flags and with an empty mask; the handler has the signature that goes
    // without SA_SIGINFO.
    unsafe {
        action.assume_init_mut().sa_sigaction = handler as *const () as usize;
        libc::sigaction(libc::SIGABRT, action.as_ptr(), std::ptr::null_mut());
    }
}

extern "C" fn on_abort(_signal: c_int) {
    let Some(me) = threads::me() else { return };
    if is_panicking() {
        me.core.end_run(me.core.lock(), me);
    }
    // It may be the allocator that aborts, so nothing may allocate.
    let mut text = [0u8; 20];
    let (mut at, mut seed) = (text.len(), me.core.seed);
    loop {
        at -= 1;
        text[at] = b'0' + (seed % 10) as u8;
        seed /= 10;
        if seed == 0 {
            break;
        }
    }
    for part in [&b"mte: a task of the simulation of seed "[..], &text[at..], b" aborts\n"] {
        // SAFETY: the slice is readable.
        unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
    }
}
