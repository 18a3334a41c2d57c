// SPDX-License-Identifier: GPL-2.0-only
//! Signals that mean the end: reported like a BUG, and never without an end.
//!
//! The handler runs on a stack of its own, so an overflow of the stack is reported, too. Its first line goes out with
//! write(2) alone; what follows (symbols, the log) allocates and takes locks that the interrupted code may hold, so an
//! alarm ends the process when the report gets stuck.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use super::stack::{self, Registers};
use super::{EXIT_SIGNAL, begin_report, end_report, say};

const SIGNALS: [(c_int, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGTRAP, "SIGTRAP"),
];

/// Only touched pages count.
const STACK_BYTES: usize = 256 << 10;
/// How long a report may take.
const REPORT_S_MAX: u32 = 10;

/// A stack for signal handlers, in use by the thread that made it. What was there before is put back.
struct SignalStack {
    memory: *mut c_void,
    before: libc::stack_t,
}

impl SignalStack {
    fn install() -> Option<SignalStack> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a fresh mapping.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                STACK_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return None;
        }
        let stack = libc::stack_t { ss_sp: memory, ss_flags: 0, ss_size: STACK_BYTES };
        let mut before = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: the memory is ours until `drop`, which takes it back from the thread first.
        unsafe { libc::sigaltstack(&raw const stack, before.as_mut_ptr()) };
        // SAFETY: the call filled it.
        Some(SignalStack { memory, before: unsafe { before.assume_init() } })
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        // SAFETY: no handler runs on the stack now: this is the thread's ordinary code.
        unsafe {
            libc::sigaltstack(&raw const self.before, ptr::null_mut());
            libc::munmap(self.memory, STACK_BYTES);
        }
    }
}

thread_local! {
    static STACK: RefCell<Option<SignalStack>> = const { RefCell::new(None) };
}

/// Gives the calling thread a stack for its fatal signals. Idempotent; without memory the thread goes without.
pub(crate) fn prepare_thread() {
    STACK.with_borrow_mut(|stack| {
        if stack.is_none() {
            *stack = SignalStack::install();
        }
    });
}

extern "C" fn on_alarm(_signal: c_int) {
    const TEXT: &[u8] = b"The report of the fatal signal got stuck.\n";
    // SAFETY: a literal; both calls are async-signal-safe.
    unsafe {
        libc::write(2, TEXT.as_ptr().cast(), TEXT.len());
        libc::_exit(EXIT_SIGNAL);
    }
}

/// How the kernel describes the cause.
fn cause(signal: c_int, info: &libc::siginfo_t) -> String {
    if info.si_code <= 0 {
        // SAFETY: a signal that was sent has a sender.
        return format!("sent by process {}", unsafe { info.si_pid() });
    }
    // SAFETY: a signal of the processor has an address.
    let address = unsafe { info.si_addr() } as usize;
    match signal {
        libc::SIGSEGV | libc::SIGBUS => format!("at address {address:#x}"),
        libc::SIGFPE if info.si_code == 1 => "integer division by zero".into(),
        _ => format!("code {}", info.si_code),
    }
}

/// A number in hexadecimal, without allocation.
fn hex(mut value: usize, buf: &mut [u8; 18]) -> &[u8] {
    let mut at = buf.len();
    loop {
        at -= 1;
        buf[at] = b"0123456789abcdef"[value & 15];
        value >>= 4;
        if value == 0 {
            break;
        }
    }
    at -= 2;
    buf[at..at + 2].copy_from_slice(b"0x");
    &buf[at..]
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let name =
        SIGNALS.iter().find(|(number, _)| *number == signal).map_or("signal", |(_, name)| name);
    // SAFETY: the kernel's arguments.
    let (registers, info) = unsafe { (Registers::of(context), &*info) };
    begin_report(EXIT_SIGNAL);
    // SAFETY: async-signal-safe calls. The alarm is let through in this thread, whatever was blocked.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
        libc::alarm(REPORT_S_MAX);
    }
    let mut buf = [0; 18];
    for part in [
        b"Fatal signal ".as_slice(),
        name.as_bytes(),
        b" at instruction ",
        hex(registers.ip, &mut buf),
        b"\n",
    ] {
        // SAFETY: the part is valid.
        unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
    // From here on as well as it goes.
    say(&format!("{name}: {} [{}]", cause(signal, info), super::task_name()));
    super::request::show();
    let lines = registers.frames().into_iter().flat_map(|(ip, exact)| stack::lines_of(ip, exact));
    lines.for_each(|line| say(&line));
    end_report(EXIT_SIGNAL)
}

/// Makes fatal signals be reported. Threads that are tasks have a stack for it.
pub(super) fn install() {
    prepare_thread();
    // SAFETY: the handlers are functions of the right types, and all other members are zero or set.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = on_signal as *const () as usize;
        // NODEFER: a fault in the report comes back here, and ends it.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        for (signal, _) in SIGNALS {
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
        let mut alarm: libc::sigaction = MaybeUninit::zeroed().assume_init();
        alarm.sa_sigaction = on_alarm as *const () as usize;
        alarm.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGALRM, &raw const alarm, ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn hexadecimal() {
        let mut buf = [0; 18];
        assert_eq!(super::hex(0, &mut buf), b"0x0");
        assert_eq!(super::hex(0xdead_beef, &mut buf), b"0xdeadbeef");
        assert_eq!(super::hex(usize::MAX, &mut buf), b"0xffffffffffffffff");
    }
}
