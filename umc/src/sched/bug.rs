// SPDX-License-Identifier: GPL-2.0-only
//! Checks at run time, and the end of a kernel.
//!
//! C header: `include/linux/bug.h`, `include/linux/panic.h` (API of 6.12).
//! Guarantees kept: BUG and panic never return; WARN leaves a backtrace in the log and goes on. Callable in any
//! context, with any lock held.
//! Differs from Linux: the process is the machine, so BUG and a fatal signal end it, whatever `panic_on_oops` would
//! say. The message shows the condition, and the backtrace has the C and the Rust side, with lines where debug
//! information is there.
//! Used by DRBD for: `BUG_ON` (36 places), `WARN_ON`, and `panic` on `emergency` policies.

mod fatal;
mod request;
pub(crate) mod stack;

use std::ffi::{c_char, c_int};
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

pub(crate) use fatal::prepare_thread;
pub(crate) use request::serving;
use stack::short;

use crate::kprintln;
use crate::printk::Level;
use crate::{Kernel, context, sched, string};

/// Exit status after BUG, panic() and a failed assertion of the kernel itself.
pub const EXIT_BUG: c_int = 70;
/// Exit status after a fatal signal.
pub const EXIT_SIGNAL: c_int = 71;

/// Lines of the log that are shown at the end.
const TAIL_RECORDS: usize = 50;

/// The kernel whose log is shown when the dying thread is no task.
static KERNEL: AtomicPtr<Kernel> = AtomicPtr::new(std::ptr::null_mut());

/// Makes this process, which is `kernel`, end with a report and a status of its own: after a fatal signal with
/// [`EXIT_SIGNAL`], after a panic of Rust code with [`EXIT_BUG`]. Makes threads show their stacks to
/// [`hung_task::watch_hung_tasks`](crate::hung_task::watch_hung_tasks).
pub fn install(kernel: &'static Kernel) {
    KERNEL.store(std::ptr::from_ref(kernel).cast_mut(), Ordering::SeqCst);
    stack::install();
    fatal::install();
    std::panic::set_hook(Box::new(|info| die(&format!("kernel {info}"), "panicking::panic")));
}

/// Makes threads of this process show their stacks to [`hung_task`](crate::hung_task), and nothing else of [`install`].
pub fn show_stacks() {
    stack::install();
}

/// One line a frame of the calling thread's stack. The frames down to the last one whose name contains `marker` are
/// left out: they are those that report.
pub(crate) fn stack_lines(marker: &str) -> Vec<String> {
    stack::lines(&stack::Trace::here(), marker)
}

/// The task that a report is about.
fn task_name() -> String {
    sched::try_current()
        .map_or_else(|| "no task".to_owned(), |task| format!("{}/{}", task.comm(), task.pid()))
}

/// A warning in the log of the calling task's kernel, and the backtrace a moment later. Any context.
#[cold]
#[inline(never)]
pub(crate) fn warn(text: &str) {
    warn_from(text, "bug::warn");
}

fn warn_from(text: &str, marker: &'static str) {
    let line = format!("WARNING: {text} [{}]", task_name());
    let Some(task) = sched::try_current() else {
        say(&line);
        stack_lines(marker).iter().for_each(|line| say(line));
        return;
    };
    kprintln!(task.kernel => Level::Warning, "{line}");
    let title = format!("The stack of {}, {text}:", task_name());
    context::report::stack(task.kernel, Level::Warning, title, stack::Trace::here(), marker);
}

/// A line on standard error, past every lock and buffer; nothing when that cannot be written.
pub(crate) fn say(line: &str) {
    let line = format!("{line}\n");
    // SAFETY: the text is valid.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
}

/// One process, one death: returns on the first thread that calls. Others wait here for the end; a second call of the
/// first, when its report itself fails, is the end.
fn begin_report(status: c_int) {
    static REPORTER: AtomicI32 = AtomicI32::new(0);
    let me = stack::this_thread();
    match REPORTER.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {}
        // SAFETY: ends the process.
        Err(first) if first == me => unsafe { libc::_exit(status) },
        Err(_) => loop {
            // SAFETY: plain values.
            unsafe { libc::pause() };
        },
    }
}

/// The end of the log, and of the process.
fn end_report(status: c_int) -> ! {
    let known = KERNEL.load(Ordering::SeqCst);
    // SAFETY: kernels are never freed.
    let kernel = sched::try_current().map(|task| task.kernel).or(unsafe { known.as_ref() });
    if let Some(kernel) = kernel {
        say(&format!("The last lines of the log of node {}:", kernel.config.name));
        kernel.log.tail(TAIL_RECORDS).iter().for_each(|record| say(&record.to_string()));
        say(&format!("Node {} ends with status {status}", kernel.config.name));
    }
    // SAFETY: ends the process; no destructor of a broken kernel is to run.
    unsafe { libc::_exit(status) }
}

/// Writes the message, the backtrace and the end of the log to standard error, and ends the process.
#[cold]
#[inline(never)]
pub(crate) fn die(text: &str, marker: &str) -> ! {
    // In a simulation this ends the run, not the process.
    mte::sim::fail(text);
    begin_report(EXIT_BUG);
    say(&format!("{text} [{}]", task_name()));
    request::show();
    stack_lines(marker).iter().for_each(|line| say(line));
    end_report(EXIT_BUG)
}

/// Where a check is, as its macro passes it: `drbd_req.c:120 in drbd_req_put_completion_ref(): m->bio`.
///
/// # Safety
/// The strings are valid; `condition` may be NULL.
unsafe fn place(
    file: *const c_char,
    line: c_int,
    function: *const c_char,
    condition: *const c_char,
) -> String {
    // SAFETY: both are strings.
    let (file, function) = unsafe { (string::lossy(file), string::lossy(function)) };
    let place = format!("{}:{line} in {function}()", short(Path::new(file.as_ref())));
    if condition.is_null() {
        return place;
    }
    // SAFETY: `condition` is not NULL, so it is a string.
    format!("{place}: {}", unsafe { string::lossy(condition) })
}

/// `BUG`: writes the place, the condition, the stack and the last lines of the log to standard
/// error, and ends the process.
///
/// # Safety
/// The strings are valid; `condition` may be NULL.
/// # Context
/// Any. Never returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_bug(
    file: *const c_char,
    line: c_int,
    function: *const c_char,
    condition: *const c_char,
) -> ! {
    // SAFETY: the strings are valid, and `condition` is NULL or one.
    let place = unsafe { place(file, line, function, condition) };
    die(&format!("kernel BUG at {place}"), "umc_bug")
}

/// `WARN_ON`: writes the place, the condition and the stack to the kernel log, and goes on.
///
/// # Safety
/// The strings are valid; `condition` may be NULL.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_warn_on(
    file: *const c_char,
    line: c_int,
    function: *const c_char,
    condition: *const c_char,
) {
    // SAFETY: the strings are valid, and `condition` is NULL or one.
    warn_from(&unsafe { place(file, line, function, condition) }, "umc_warn");
}

/// A warning formatted by glue/printf.c.
///
/// # Safety
/// The strings are valid, `text` are `len` bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_warn_text(
    file: *const c_char,
    line: c_int,
    function: *const c_char,
    text: *const c_char,
    len: usize,
) {
    // SAFETY: both are strings.
    let place = unsafe { place(file, line, function, std::ptr::null()) };
    // SAFETY: `text` are `len` bytes.
    let text = unsafe { string::lossy_bytes(text, len) };
    warn_from(&format!("{place}: {}", text.trim_end()), "umc_warn");
}

/// A panic formatted by glue/printf.c.
///
/// # Safety
/// `text` are `len` valid bytes.
/// # Context
/// Any. Never returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_panic_text(text: *const c_char, len: usize) -> ! {
    // SAFETY: the caller's contract.
    let text = unsafe { string::lossy_bytes(text, len) };
    die(&format!("Kernel panic - not syncing: {}", text.trim_end()), "umc_panic_text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Kernel};

    #[test]
    fn a_warning_has_place_and_backtrace() {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        // SAFETY: literals.
        unsafe {
            umc_warn_on(c"a/b/c/d.c".as_ptr(), 7, c"f".as_ptr(), c"x > y".as_ptr());
        }
        context::report::flush(kernel);
        let records = kernel.log_records(0);
        assert!(records[0].text.starts_with("WARNING: b/c/d.c:7 in f(): x > y [test/"));
        assert!(records[1].text.starts_with("The stack of test/"), "{}", records[1].text);
        assert!(
            records[2].text.contains("a_warning_has_place_and_backtrace"),
            "{}",
            records[2].text
        );
    }

    /// Run by the next test in a process of its own.
    #[test]
    #[ignore = "ends the process"]
    fn dies() {
        let kernel = Kernel::boot(Config { name: "alpha".to_owned(), ..Config::default() });
        sched::attach(kernel, "test");
        kprintln!(kernel => Level::Info, "the last words");
        // SAFETY: literals.
        unsafe { umc_bug(c"d.c".as_ptr(), 9, c"f".as_ptr(), c"!x".as_ptr()) }
    }

    #[test]
    fn a_bug_ends_the_process() {
        let mut command = std::process::Command::new(std::env::current_exe().expect("test binary"));
        command.args(["--exact", "sched::bug::tests::dies", "--ignored", "--nocapture"]);
        let output = command.output().expect("the test binary runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("kernel BUG at d.c:9 in f(): !x [test/"), "{text}");
        assert!(text.contains("dies"), "{text}");
        assert!(text.contains("of node alpha:") && text.contains("the last words"), "{text}");
        assert_eq!(output.status.code(), Some(EXIT_BUG));
    }
}
