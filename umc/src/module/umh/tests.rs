// SPDX-License-Identifier: GPL-2.0-only
//! Running programs.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, fcntl};

use super::*;
use crate::kernel::Config;

fn boot() -> &'static Kernel {
    let helper_env = vec![("UMC_FS_ROOT".to_string(), "/node".to_string())];
    let helper_descriptors = Some((77, 99));
    let kernel = Kernel::boot(Config { helper_env, helper_descriptors, ..Config::default() });
    crate::sched::attach(kernel, "umh");
    kernel
}

/// Runs `/bin/sh -c script` with `A=1` for its environment.
fn shell(script: &CStr, wait: u32) -> c_int {
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), script.as_ptr(), ptr::null()];
    let envp = [c"A=1".as_ptr(), ptr::null()];
    let (argv, envp) = (argv.as_ptr().cast_mut().cast(), envp.as_ptr().cast_mut().cast());
    // SAFETY: strings, and arrays of strings that end with NULL.
    unsafe { call_usermodehelper(c"/bin/sh".as_ptr(), argv, envp, wait as c_int) }
}

fn log_has(kernel: &'static Kernel, text: &str) -> bool {
    kernel.log_records(0).iter().any(|record| record.text.contains(text))
}

#[test]
fn the_status_is_that_of_wait() {
    boot();
    assert_eq!(shell(c"exit 0", sys::UMH_WAIT_PROC), 0);
    assert_eq!(shell(c"exit 7", sys::UMH_WAIT_PROC), 7 << 8);
    assert_eq!(shell(c"kill -9 $$", sys::UMH_WAIT_PROC | sys::UMH_KILLABLE), 9);
    // SAFETY: strings, and no arrays.
    let ret = unsafe {
        call_usermodehelper(c"/nonexistent/x".as_ptr(), ptr::null_mut(), ptr::null_mut(), WAIT_PROC)
    };
    assert_eq!(ret, -libc::ENOENT);
    // SAFETY: as above.
    let ret =
        unsafe { call_usermodehelper(c"".as_ptr(), ptr::null_mut(), ptr::null_mut(), WAIT_PROC) };
    assert_eq!(ret, 0);
}

#[test]
fn environment_directory_and_output() {
    let kernel = boot();
    let script = c"echo \"got $A $UMC_FS_ROOT $HOME. in $(pwd)\"; echo oops >&2; printf tail";
    assert_eq!(shell(script, sys::UMH_WAIT_PROC), 0);
    for line in ["sh: got 1 /node . in /", "sh: oops", "sh: tail"] {
        let end = kernel.ops.now_ns() + 2_000_000_000;
        // The end of the output is seen on its own; only whole lines are sure to be there at once.
        while !log_has(kernel, line) && kernel.ops.now_ns() < end {
            kernel.ops.yield_now();
        }
        assert!(log_has(kernel, line), "{line}");
    }
}

/// However many descriptors the process of the node may have.
#[test]
fn descriptors_are_limited() {
    boot();
    // The limit comes a moment after the program.
    let script = c"n=0; until [ $(ulimit -S -n) = 77 ] || [ $n = 5000 ]; do n=$((n + 1)); done; exit $(ulimit -H -n)";
    assert_eq!(shell(script, sys::UMH_WAIT_PROC), 99 << 8);
}

#[test]
fn nothing_of_ours_is_inherited() {
    boot();
    // Above those that a shell uses itself.
    let fd = fcntl(std::io::stdin(), FcntlArg::F_DUPFD(200)).expect("a descriptor");
    let script = CString::new(format!("test ! -e /proc/$$/fd/{fd}")).expect("no NUL");
    assert_eq!(shell(&script, sys::UMH_WAIT_PROC), 0, "descriptor {fd} is open in the program");
    nix::unistd::close(fd).expect("ours");
}

#[test]
fn output_that_fills_the_pipe_does_not_block_the_program() {
    let kernel = boot();
    let script = c"i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done";
    assert_eq!(shell(script, sys::UMH_WAIT_PROC), 0);
    assert!(log_has(kernel, "sh: 0123456789"));
}

#[test]
fn nobody_waits_when_told_not_to() {
    let kernel = boot();
    let begun = kernel.ops.now_ns();
    assert_eq!(shell(c"echo started; sleep 20", sys::UMH_NO_WAIT), 0);
    assert_eq!(shell(c"echo executed; sleep 20", sys::UMH_WAIT_EXEC), 0);
    while !(log_has(kernel, "started") && log_has(kernel, "executed")) {
        kernel.ops.yield_now();
    }
    assert!(kernel.ops.now_ns() - begun < 10_000_000_000);
    shutdown(kernel);
    while !kernel.umh.running.lock().processes.is_empty() {
        kernel.ops.yield_now();
    }
    assert_eq!(shell(c"exit 0", sys::UMH_WAIT_PROC), -libc::EBUSY);
}

#[test]
fn an_intercept_answers() {
    let kernel = boot();
    intercept(
        kernel,
        Arc::new(|request: &Request| (request.path.to_bytes() == b"/sbin/drbdadm").then_some(3)),
    );
    // SAFETY: strings, and no arrays.
    unsafe {
        let info = call_usermodehelper_setup(
            c"/sbin/drbdadm".as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            gfp::KERNEL,
            None,
            None,
            ptr::null_mut(),
        );
        assert_eq!(call_usermodehelper_exec(info, WAIT_PROC), 3 << 8);
    }
    assert_eq!(shell(c"exit 1", sys::UMH_WAIT_PROC), 1 << 8);
}

/// Whether the host of the test below watches a descriptor.
static NO_WATCHES: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn watch_unless_refused(
    ctx: *mut c_void,
    fd: c_int,
    events: mte::ops::FdEvents,
    callback: mte::ops::FdCallback,
    arg: *mut c_void,
) -> i64 {
    if NO_WATCHES.load(Ordering::SeqCst) {
        return -i64::from(libc::ENOSPC);
    }
    // SAFETY: handed on as it came.
    unsafe { (mte::current().fd_watch)(ctx, fd, events, callback, arg) }
}

/// A program whose end nobody would be told of is none: it is killed, reaped and forgotten.
#[test]
fn a_program_that_cannot_be_watched_does_not_run() {
    // SAFETY: a table is plain words; this copy is never dropped.
    let mut ops: mte::Ops = unsafe { ptr::read(mte::current()) };
    ops.fd_watch = watch_unless_refused;
    let engine = mte::current();
    mte::ops::set_current(Box::leak(Box::new(ops)));
    let kernel = boot();
    mte::ops::set_current(engine);
    NO_WATCHES.store(true, Ordering::SeqCst);
    assert_eq!(shell(c"echo here; sleep 60", sys::UMH_WAIT_PROC), -libc::ENOSPC);
    assert!(kernel.umh.running.lock().processes.is_empty());
    NO_WATCHES.store(false, Ordering::SeqCst);
    assert_eq!(shell(c"exit 3", sys::UMH_WAIT_PROC), 3 << 8);
    assert!(kernel.umh.running.lock().processes.is_empty());
}
