// SPDX-License-Identifier: GPL-2.0-only
//! Stacks: of the calling thread, of another one, and of a thread that a signal interrupted.

use std::ffi::{CStr, c_int, c_void};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, gettid};
use parking_lot::Mutex;

/// Frames of a stack that are looked at: a stack that overflowed has many thousands.
const FRAMES_MAX: usize = 64;
/// How long another thread may take to note down its stack.
const CAPTURE_NS_MAX: i64 = 500_000_000;

/// The addresses on the calling thread's stack, innermost first. Does not allocate; safe in a signal handler as far as
/// the unwinder is.
#[inline(never)]
fn addresses(into: &mut [usize]) -> usize {
    let mut len = 0;
    // SAFETY: no other thread's state is touched; the `_unsynchronized` variants differ by the lock that only
    // symbolising needs.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            let ip = frame.ip() as usize;
            // The outermost frame has no caller.
            let room = len < into.len() && ip != 0;
            if room {
                into[len] = ip;
                len += 1;
            }
            room
        });
    }
    len
}

/// The addresses on a stack, to be given their names later.
pub(crate) struct Trace {
    len: usize,
    all: [usize; FRAMES_MAX],
}

impl Trace {
    /// Those of the calling thread.
    #[inline(never)]
    pub(crate) fn here() -> Trace {
        let mut all = [0; FRAMES_MAX];
        let len = addresses(&mut all);
        Trace { len, all }
    }

    /// Innermost first.
    pub(crate) fn addresses(&self) -> &[usize] {
        &self.all[..self.len]
    }
}

/// One line a function. The frames down to the last one whose name contains `marker` are left out: they are those that
/// report. Slow.
pub(crate) fn lines(trace: &Trace, marker: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        trace.addresses().iter().flat_map(|ip| lines_of(*ip, false)).collect();
    let reporters = lines.iter().take(24).rposition(|line| line.contains(marker));
    lines.drain(..reporters.map_or(0, |at| at + 1));
    lines
}

/// The name of the file that an address belongs to, without `.so`.
fn module_of(address: usize) -> Option<String> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: any address may be asked for, and `info` is writable.
    if unsafe { libc::dladdr(address as *const c_void, info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: the call filled it.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the name of a mapped object.
    let path = unsafe { CStr::from_ptr(info.dli_fname) }.to_string_lossy().into_owned();
    let name = Path::new(&path).file_name()?.to_string_lossy().into_owned();
    Some(name.strip_suffix(".so").unwrap_or(&name).to_owned())
}

/// The last three parts of a path: enough to find the file.
pub(super) fn short(file: &Path) -> String {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    parts[parts.len().saturating_sub(3)..].join("/")
}

/// One line for each function at an address, inlined ones first: `  function [module] (file:line)`. `exact` says that
/// the address is of the instruction itself, not of the one behind a call.
pub(super) fn lines_of(address: usize, exact: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if address == 0 {
        return vec!["  0x0: a call through a null pointer".into()];
    }
    let module = module_of(address).map_or_else(String::new, |name| format!(" [{name}]"));
    // A return address is looked up one byte before; so has to be undone what is none.
    let looked_up = address + usize::from(exact);
    backtrace::resolve(looked_up as *mut c_void, |symbol| {
        let name =
            symbol.name().map_or_else(|| format!("{address:#x}"), |name| format!("{name:#}"));
        let place = match (symbol.filename(), symbol.lineno()) {
            (Some(file), Some(line)) => format!(" ({}:{line})", short(file)),
            _ => String::new(),
        };
        lines.push(format!("  {name}{module}{place}"));
    });
    if lines.is_empty() {
        lines.push(format!("  {address:#x}{module}"));
    }
    lines
}

/// Memory that may not be there.
fn peek(address: usize) -> Option<usize> {
    let mut word = [0; size_of::<usize>()];
    let remote = [RemoteIoVec { base: address, len: word.len() }];
    let got = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut word)], &remote);
    (got == Ok(word.len())).then_some(usize::from_ne_bytes(word))
}

/// The registers that lead to a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub ip: usize,
    pub sp: usize,
    pub fp: usize,
}

impl Registers {
    /// # Safety
    /// `context` is the third argument of a signal handler.
    pub(super) unsafe fn of(context: *const c_void) -> Registers {
        // SAFETY: the caller's contract.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        Registers {
            ip: registers[libc::REG_RIP as usize] as usize,
            sp: registers[libc::REG_RSP as usize] as usize,
            fp: registers[libc::REG_RBP as usize] as usize,
        }
    }

    /// The stack that a signal interrupted, seen from its handler: `(address, exact)`.
    pub(super) fn frames(&self) -> Vec<(usize, bool)> {
        let mut all = [0; FRAMES_MAX];
        let len = addresses(&mut all);
        if let Some(at) = all[..len].iter().position(|ip| *ip == self.ip)
            && self.ip != 0
        {
            let rest = all[at + 1..len].iter().map(|ip| (*ip, false));
            return [(self.ip, true)].into_iter().chain(rest).collect();
        }
        // The unwinder does not know the place: a jump to nowhere. The caller's address is on top of the stack, and
        // drivers keep frame pointers.
        let mut frames = vec![(self.ip, true)];
        frames.extend(peek(self.sp).filter(|caller| *caller != 0).map(|caller| (caller, false)));
        let mut fp = self.fp;
        while frames.len() < FRAMES_MAX && fp >= self.sp {
            let (Some(next), Some(caller)) = (peek(fp), peek(fp + size_of::<usize>())) else {
                break;
            };
            if caller == 0 || module_of(caller).is_none() {
                break;
            }
            frames.push((caller, false));
            if next <= fp {
                break;
            }
            fp = next;
        }
        frames
    }
}

/// Where another thread notes down its stack. A signal belongs to the process, and so does this.
struct Capture {
    /// One request at a time.
    request: Mutex<()>,
    /// The thread that is to answer; `BUSY` while it does, 0 when nobody is asked.
    wanted: AtomicI32,
    done: AtomicU32,
    len: AtomicUsize,
    addresses: [AtomicUsize; FRAMES_MAX],
}

const BUSY: i32 = -1;

static CAPTURE: Capture = Capture {
    request: Mutex::new(()),
    wanted: AtomicI32::new(0),
    done: AtomicU32::new(0),
    len: AtomicUsize::new(0),
    addresses: [const { AtomicUsize::new(0) }; FRAMES_MAX],
};

/// The signal that asks a thread for its stack. Those below are the thread library's own.
fn capture_signal() -> c_int {
    libc::SIGRTMIN() + 3
}

pub(super) fn this_thread() -> i32 {
    gettid().as_raw()
}

extern "C" fn on_capture(_signal: c_int) {
    let asked = CAPTURE
        .wanted
        .compare_exchange(this_thread(), BUSY, Ordering::SeqCst, Ordering::SeqCst)
        .is_ok();
    if !asked {
        return;
    }
    let mut all = [0; FRAMES_MAX];
    let len = addresses(&mut all);
    all[..len]
        .iter()
        .zip(&CAPTURE.addresses)
        .for_each(|(ip, slot)| slot.store(*ip, Ordering::Relaxed));
    CAPTURE.len.store(len, Ordering::Relaxed);
    CAPTURE.wanted.store(0, Ordering::SeqCst);
    CAPTURE.done.store(1, Ordering::SeqCst);
    // SAFETY: the word is static. The engine's unpark takes locks that this thread may hold.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            CAPTURE.done.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1,
        )
    };
}

/// Makes threads answer to [`of_thread`].
pub(super) fn install() {
    // SAFETY: the handler is a function of the right type, and all other members are zero or set.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = on_capture as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(capture_signal(), &raw const action, std::ptr::null_mut());
    }
}

/// The stack of another thread of this process, one line a function; empty when it does not answer.
pub(crate) fn of_thread(thread: i32) -> Vec<String> {
    let _one_at_a_time = CAPTURE.request.lock();
    CAPTURE.done.store(0, Ordering::SeqCst);
    CAPTURE.wanted.store(thread, Ordering::SeqCst);
    // SAFETY: plain values; a thread that is gone is an error.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, capture_signal()) };
    let timeout = libc::timespec { tv_sec: 0, tv_nsec: CAPTURE_NS_MAX };
    if sent == 0 && CAPTURE.done.load(Ordering::SeqCst) == 0 {
        // SAFETY: the word and the timeout live through the call, which is bounded.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                CAPTURE.done.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                0,
                &raw const timeout,
            );
        }
    }
    // Takes the request back. One that is being answered is as good as done.
    if CAPTURE.wanted.compare_exchange(thread, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        return Vec::new();
    }
    while CAPTURE.done.load(Ordering::SeqCst) == 0 {
        std::hint::spin_loop();
    }
    let len = CAPTURE.len.load(Ordering::Relaxed);
    let all: Vec<usize> =
        CAPTURE.addresses[..len].iter().map(|slot| slot.load(Ordering::Relaxed)).collect();
    let lines: Vec<String> = all.into_iter().flat_map(|address| lines_of(address, false)).collect();
    // The handler is called by a frame of the C library that returns from a signal.
    let own = lines.iter().rposition(|line| line.contains("on_capture"));
    lines.into_iter().skip(own.map_or(0, |at| at + 2)).collect()
}
