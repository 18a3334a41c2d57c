// SPDX-License-Identifier: GPL-2.0-only
//! Threads.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread::{Builder, JoinHandle};

use super::park::WakeFd;
use crate::ops::ThreadMain;

/// Room for deep driver call chains; only touched pages count.
const STACK_BYTES: usize = 1 << 20;

static NEXT: AtomicU64 = AtomicU64::new(1);
static RUNNING: LazyLock<Mutex<HashMap<u64, JoinHandle<()>>>> = LazyLock::new(Mutex::default);

struct Start {
    main: ThreadMain,
    arg: *mut c_void,
}

// SAFETY: the argument is handed over to the new thread (contract of the table).
unsafe impl Send for Start {}

impl Start {
    fn run(self) {
        // SAFETY: the caller's contract: `main` takes `arg`, once.
        unsafe { (self.main)(self.arg) }
    }
}

pub(super) unsafe extern "C" fn start(
    _ctx: *mut c_void,
    name: *const c_char,
    main: ThreadMain,
    arg: *mut c_void,
    id: *mut u64,
) -> c_int {
    // SAFETY: `name` is a C string that lives through the call.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    let start = Start { main, arg };
    // Now, while the caller can still be told that there is none.
    let wake = match WakeFd::new() {
        Ok(wake) => wake,
        Err(errno) => return -(errno as c_int),
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut running = RUNNING.lock().unwrap_or_else(|poison| poison.into_inner());
    // Handles of threads that ended and were never joined are of no more use.
    running.retain(|_, handle| !handle.is_finished());
    let spawned = Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
        crate::ops::set_current(crate::engine::ops());
        wake.adopt();
        start.run();
    });
    match spawned {
        Ok(handle) => {
            running.insert(number, handle);
            // SAFETY: `id` is writable (contract of the table).
            unsafe { *id = number };
            0
        }
        Err(error) => -error.raw_os_error().unwrap_or(libc::EAGAIN),
    }
}

pub(super) unsafe extern "C" fn join(_ctx: *mut c_void, id: u64) -> c_int {
    let handle = RUNNING.lock().unwrap_or_else(|poison| poison.into_inner()).remove(&id);
    match handle {
        Some(handle) => {
            // A panic in the thread was reported by its own hook.
            let _ = handle.join();
            0
        }
        // Ended and swept already, or never there.
        None => -libc::ESRCH,
    }
}
