// SPDX-License-Identifier: GPL-2.0-only
//! User mode helpers.
//!
//! C header: `include/linux/umh.h` (API of 6.12).
//!
//! Guarantees kept: the program gets exactly the given arguments and environment, `/` as its directory and nothing of
//! ours but three descriptors; `UMH_WAIT_PROC` returns its wait status (exit code << 8), a program that cannot be run
//! its error.
//!
//! Differs from Linux: `helper_env` of the configuration is added to the environment, so that the tools which a
//! helper calls reach this node, and `helper_descriptors` is its limit; what it prints goes to the kernel log; `UMH_KILLABLE` waits like the others, and
//! ends when the kernel shuts down. In a simulation there are no programs: [`intercept`] answers, or it is `ENOENT`.
//!
//! Used by DRBD for: the handlers of drbd.conf, through `drbdadm` (`drbd_khelper`, `conn_khelper`).

mod output;
mod process;

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::Arc;

use mte::sim::lock::Mutex;

use crate::context::might_sleep;
use crate::errno::{Errno, Result};
use crate::kernel::Kernel;
use crate::kprintln;
use crate::mm::gfp;
use crate::printk::Level;
use crate::slab;
use crate::sys;
use process::Process;
pub use process::limit_descriptors;

const WAIT_EXEC: c_int = sys::UMH_WAIT_EXEC as c_int;
const WAIT_PROC: c_int = sys::UMH_WAIT_PROC as c_int;

/// A program that a driver wants to be run.
#[derive(Debug, Clone)]
pub struct Request {
    /// Path of the program.
    pub path: CString,
    /// Its arguments, the name first.
    pub argv: Vec<CString>,
    /// Its whole environment, `NAME=value`.
    pub env: Vec<CString>,
}

/// Stands in for a program: its exit code, or `None` to run the program after all.
pub type Intercept = dyn Fn(&Request) -> Option<u8> + Send + Sync;

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    running: Mutex<Running>,
    intercept: Mutex<Option<Arc<Intercept>>>,
}

#[derive(Default)]
struct Running {
    /// No more programs: the kernel shuts down.
    closed: bool,
    processes: HashMap<u32, Arc<Process>>,
}

/// Lets `intercept` answer for programs: tests and the simulator do.
pub fn intercept(kernel: &'static Kernel, intercept: Arc<Intercept>) {
    *kernel.umh.intercept.lock() = Some(intercept);
}

/// Refuses programs from now on, and kills those that run with all they started in their process groups.
pub fn shutdown(kernel: &'static Kernel) {
    let mut running = kernel.umh.running.lock();
    running.closed = true;
    // A process is reaped under this lock, so every id here is still its own.
    running.processes.values().for_each(|process| process.kill());
}

impl Request {
    /// # Safety
    /// `path` is a string; `argv` and `envp` are NULL or arrays of strings that end with NULL.
    unsafe fn new(path: *const c_char, argv: *mut *mut c_char, envp: *mut *mut c_char) -> Request {
        // SAFETY: `path` is a string; `argv` and `envp` are NULL or arrays of strings that end with
        // NULL. All is copied here.
        let (path, argv, env) =
            unsafe { (CStr::from_ptr(path).to_owned(), strings(argv), strings(envp)) };
        Request { path, argv, env }
    }

    /// The environment with the kernel's additions; those win.
    fn full_env<'a>(&'a self, kernel: &'a Kernel) -> Vec<(&'a OsStr, &'a OsStr)> {
        let own = self.env.iter().filter_map(|entry| {
            let bytes = entry.to_bytes();
            let equals = bytes.iter().position(|byte| *byte == b'=')?;
            Some((OsStr::from_bytes(&bytes[..equals]), OsStr::from_bytes(&bytes[equals + 1..])))
        });
        let added =
            kernel.config.helper_env.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        own.chain(added).collect()
    }

    /// Runs the program and waits as `wait` says.
    fn run(self, kernel: &'static Kernel, wait: c_int) -> Result<c_int> {
        if self.path.is_empty() {
            return Ok(0);
        }
        let intercept = kernel.umh.intercept.lock().clone();
        if let Some(code) = intercept.and_then(|intercept| intercept(&self)) {
            return Ok(if wait & WAIT_PROC != 0 { c_int::from(code) << 8 } else { 0 });
        }
        if kernel.ops.is_simulated != 0 {
            return Err(Errno::ENOENT);
        }
        let process = Process::start(kernel, &self)?;
        Ok(if wait & WAIT_PROC != 0 { process.wait() } else { 0 })
    }
}

/// # Safety
/// `array` is NULL or an array of strings that ends with NULL.
unsafe fn strings(array: *mut *mut c_char) -> Vec<CString> {
    let mut all = Vec::new();
    if array.is_null() {
        return all;
    }
    loop {
        // SAFETY: the caller's contract: the end was not reached yet.
        let string = unsafe { array.add(all.len()).read() };
        if string.is_null() {
            return all;
        }
        // SAFETY: before the end of the array there are strings.
        all.push(unsafe { CStr::from_ptr(string) }.to_owned());
    }
}

/// Runs a program for the current task's kernel; what the C functions return.
fn call(request: Request, wait: c_int) -> c_int {
    let kernel = Kernel::current();
    if wait & (WAIT_EXEC | WAIT_PROC) != 0 {
        might_sleep();
        return request.run(kernel, wait).unwrap_or_else(Errno::neg);
    }
    // The caller may hold a lock: start it elsewhere, and tell about a failure in the log.
    kernel.ops.work_push(Box::new(move || {
        let path = request.path.to_string_lossy().into_owned();
        if let Err(error) = crate::sched::with_kernel(kernel, || request.run(kernel, wait)) {
            kprintln!(kernel => Level::Warning, "cannot run helper {path}: {error}");
        }
    }));
    0
}

/// Runs a program of the host with the additions of the kernel to its environment, waits as `wait`
/// says, and gives its wait status, 0, or a negative error. With `UMH_NO_WAIT` a failure is only
/// logged.
///
/// # Safety
/// `path` is a string; `argv` and `envp` are NULL or arrays of strings that end with NULL.
/// # Context
/// May sleep, unless `wait` is `UMH_NO_WAIT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn call_usermodehelper(
    path: *const c_char,
    argv: *mut *mut c_char,
    envp: *mut *mut c_char,
    wait: c_int,
) -> c_int {
    // SAFETY: `path` is a string; `argv` and `envp` are NULL or arrays of strings that end with
    // NULL.
    call(unsafe { Request::new(path, argv, envp) }, wait)
}

type InitFn = Option<unsafe extern "C" fn(*mut sys::subprocess_info, *mut sys::cred) -> c_int>;
type CleanupFn = Option<unsafe extern "C" fn(*mut sys::subprocess_info)>;

/// Notes what [`call_usermodehelper_exec`] is to run; NULL without memory.
///
/// # Safety
/// As for `call_usermodehelper`, until `call_usermodehelper_exec` has returned or `cleanup` was called.
/// # Context
/// May sleep, if `gfp_mask` says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn call_usermodehelper_setup(
    path: *const c_char,
    argv: *mut *mut c_char,
    envp: *mut *mut c_char,
    gfp_mask: sys::gfp_t,
    init: InitFn,
    cleanup: CleanupFn,
    data: *mut c_void,
) -> *mut sys::subprocess_info {
    let info = slab::alloc(size_of::<sys::subprocess_info>(), gfp_mask | gfp::ZERO)
        .cast::<sys::subprocess_info>();
    if info.is_null() {
        return ptr::null_mut();
    }
    let value = sys::subprocess_info { path, argv, envp, wait: 0, retval: 0, init, cleanup, data };
    // SAFETY: new memory of that size.
    unsafe { info.write(value) };
    info
}

/// Calls `init`, runs the program as [`call_usermodehelper`] does, calls `cleanup`, and frees
/// `info`. With `UMH_NO_WAIT` the cleanup comes before the program ends, since all it needs was
/// copied.
///
/// # Safety
/// `info` came from `call_usermodehelper_setup`; it is gone afterwards.
/// # Context
/// May sleep, unless `wait` is `UMH_NO_WAIT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn call_usermodehelper_exec(
    info: *mut sys::subprocess_info,
    wait: c_int,
) -> c_int {
    // SAFETY: `info` came from `call_usermodehelper_setup` and was not freed yet.
    let (path, argv, envp) = unsafe { ((*info).path, (*info).argv, (*info).envp) };
    // SAFETY: `info` came from `call_usermodehelper_setup` and was not freed yet.
    let (init, cleanup) = unsafe { ((*info).init, (*info).cleanup) };
    // SAFETY: the driver's own function, with the argument it expects; there are no credentials to change.
    let mut ret = init.map_or(0, |init| unsafe { init(info, ptr::null_mut()) });
    if ret == 0 {
        // SAFETY: the driver keeps the strings until the program was started, or `cleanup` was
        // called.
        ret = call(unsafe { Request::new(path, argv, envp) }, wait);
        // SAFETY: `info` came from `call_usermodehelper_setup` and was not freed yet.
        unsafe { (*info).retval = ret };
    }
    if let Some(cleanup) = cleanup {
        // SAFETY: the driver's own function, with the argument it expects.
        unsafe { cleanup(info) };
    }
    // SAFETY: `call_usermodehelper_setup` allocated it.
    unsafe { slab::free(info.cast()) };
    ret
}

#[cfg(test)]
mod tests;
