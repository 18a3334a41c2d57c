// SPDX-License-Identifier: GPL-2.0-only
//! The kernel log.
//!
//! C header: `include/linux/printk.h` (API of 6.12).
//! Guarantees kept: records have increasing numbers without gaps; a reader or a console sees each record once, in
//! that order; `KERN_CONT` goes on with the line that the same task left open. Callable in any context.
//! Differs from Linux: each kernel has its own log, of the last [`CAPACITY`] records; the console is whatever the
//! embedding program sets. An unfinished line is held back until its end comes, or another line, a reader or
//! [`OPEN_LINE_NS`].
//! Used by DRBD for: everything it says (`drbd_printk`).

pub(crate) mod dump;
mod level;

pub use level::Level;

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mte::NEVER;
use mte::sim::lock::{Mutex, RwLock};

use crate::kernel::Kernel;
use crate::{bug, jiffies, ratelimit, sched, string};

/// Records that a log holds; older ones are dropped.
pub const CAPACITY: usize = 16384;
/// How long a line without an end is held back.
pub const OPEN_LINE_NS: u64 = 100_000_000;

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the record, from zero on.
    pub seq: u64,
    /// When it was written, on the clock of the provider.
    pub time_ns: u64,
    /// How urgent it is.
    pub level: Level,
    /// Name of the task that wrote it.
    pub comm: String,
    /// Number of the task that wrote it; 0 when it was none.
    pub pid: i32,
    /// The line, without level and newline; of [`emit_record`] perhaps several.
    pub text: String,
}

/// As dmesg(1) shows it: `[   12.345678] drbd: initialized`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.time_ns / 1000;
        write!(f, "[{:5}.{:06}] {}", us / 1_000_000, us % 1_000_000, self.text)
    }
}

type Console = Arc<dyn Fn(&Record) + Send + Sync>;

/// The log of one kernel.
#[derive(Default)]
pub struct Log {
    ring: Mutex<Ring>,
    /// Changes with each record; readers park on it.
    generation: AtomicU32,
    /// Threads in [`Kernel::log_wait`].
    waiters: AtomicU32,
    console: RwLock<Option<Console>>,
    /// Somebody hands records to the console and will not stop before it has all of them.
    console_busy: AtomicBool,
    /// Of `printk_ratelimit`.
    limit: Mutex<ratelimit::Counters>,
}

#[derive(Default)]
struct Ring {
    records: VecDeque<Record>,
    next_seq: u64,
    /// The first record that the console has not seen.
    console_seq: u64,
    /// A line that has no end yet; its number is not assigned.
    open: Option<Record>,
    timer_armed: bool,
}

impl Ring {
    fn push(&mut self, mut record: Record) {
        if self.records.len() == CAPACITY {
            self.records.pop_front();
        }
        record.seq = self.next_seq;
        self.next_seq += 1;
        self.records.push_back(record);
    }

    fn close_open(&mut self) -> bool {
        let open = self.open.take();
        let closed = open.is_some();
        if let Some(record) = open {
            self.push(record);
        }
        closed
    }

    fn since(&self, seq: u64) -> impl Iterator<Item = &Record> {
        let first = self.next_seq - self.records.len() as u64;
        self.records.iter().skip(seq.saturating_sub(first) as usize)
    }
}

/// What the prefix of a message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Header {
    Level(Level),
    Continue,
    Missing,
}

/// Takes the `KERN_` prefixes off. Several may come together, when a macro adds one to a message that has one; the
/// first level counts, as on Linux.
fn split_header(mut text: &str) -> (Header, &str) {
    let mut header = Header::Missing;
    while let Some(rest) = text.strip_prefix('\u{1}') {
        let Some(code @ ('0'..='7' | 'c')) = rest.chars().next() else { break };
        header = match (header, code) {
            (Header::Level(level), _) => Header::Level(level),
            (_, 'c') => Header::Continue,
            (_, digit) => {
                digit.to_digit(8).and_then(Level::from_number).map_or(header, Header::Level)
            }
        };
        text = &rest[1..];
    }
    (header, text)
}

/// Writes a message to the log of `kernel`; each line of it is a record. Any context.
pub fn emit(kernel: &'static Kernel, level: Level, text: &str) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    kernel.log.write(kernel, Header::Level(level), text, true);
}

/// Writes a message to the log of `kernel` as one record, with the newlines inside it. Any context.
pub(crate) fn emit_record(kernel: &'static Kernel, level: Level, text: &str) {
    let text = text.strip_suffix('\n').unwrap_or(text);
    kernel.log.write_pieces(kernel, Header::Level(level), std::iter::once(text), true);
}

/// Writes a formatted line to the log of the calling task's kernel, `kprintln!(Level::Info, "disk {name} is gone")`, or of
/// the one that is named: `kprintln!(kernel => Level::Info, …)`. Any context.
#[macro_export]
macro_rules! kprintln {
    ($kernel:expr => $level:expr, $($arg:tt)*) => {
        $crate::printk::emit($kernel, $level, &format!($($arg)*))
    };
    ($level:expr, $($arg:tt)*) => {
        $crate::printk::emit($crate::Kernel::current(), $level, &format!($($arg)*))
    };
}

/// A message of a driver, with its prefix and perhaps without an end.
pub(crate) fn message(kernel: &'static Kernel, text: &str) {
    let (header, text) = split_header(text);
    let (text, ended) = match text.strip_suffix('\n') {
        Some(text) => (text, true),
        None => (text, false),
    };
    kernel.log.write(kernel, header, text, ended);
}

impl Log {
    fn write(&self, kernel: &'static Kernel, header: Header, text: &str, ended: bool) {
        self.write_pieces(kernel, header, text.split('\n'), ended);
    }

    /// A record of each piece; the last one stays open unless it has `ended`.
    fn write_pieces<'a>(
        &self,
        kernel: &'static Kernel,
        header: Header,
        pieces: impl Iterator<Item = &'a str>,
        ended: bool,
    ) {
        let (comm, pid) = match sched::try_current() {
            Some(task) => (task.comm(), task.pid()),
            None => (String::new(), 0),
        };
        let time_ns = kernel.ops.now_ns();
        let arm = {
            let mut ring = self.ring.lock();
            let mut lines = pieces.peekable();
            let mut level = match header {
                Header::Level(level) => level,
                Header::Continue | Header::Missing => Level::DEFAULT,
            };
            // The beginning may belong to a line that is open.
            let mut open = ring.open.take();
            if header != Header::Continue || open.as_ref().is_some_and(|open| open.pid != pid) {
                ring.open = open.take();
                ring.close_open();
            }
            if let Some(open) = &open {
                level = open.level;
            }
            while let Some(line) = lines.next() {
                let mut record = open.take().unwrap_or_else(|| Record {
                    seq: 0,
                    time_ns,
                    level,
                    comm: comm.clone(),
                    pid,
                    text: String::new(),
                });
                record.text.push_str(line);
                if ended || lines.peek().is_some() {
                    ring.push(record);
                } else if !record.text.is_empty() {
                    ring.open = Some(record);
                }
            }
            let arm = ring.open.is_some() && !ring.timer_armed;
            ring.timer_armed |= arm;
            arm
        };
        if arm {
            let deadline_ns = time_ns.saturating_add(OPEN_LINE_NS);
            let arg = std::ptr::from_ref(kernel).cast_mut().cast();
            // SAFETY: a kernel is never freed, so `arg` stays valid.
            unsafe { kernel.ops.timer_arm(deadline_ns, open_line_expired, arg) };
        }
        self.published(kernel);
    }

    /// Tells readers and the console that there may be new records. The ring is not locked.
    fn published(&self, kernel: &'static Kernel) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            kernel.ops.unpark(&self.generation, u32::MAX);
        }
        // Whoever finds the flag set leaves its records to the one who set it, who looks again after clearing it.
        while self.console_pending() && !self.console_busy.swap(true, Ordering::SeqCst) {
            self.feed_console();
            self.console_busy.store(false, Ordering::SeqCst);
        }
    }

    fn console_pending(&self) -> bool {
        let ring = self.ring.lock();
        ring.console_seq < ring.next_seq
    }

    fn feed_console(&self) {
        // Not locked during the calls, which may log.
        let console = self.console.read().clone();
        loop {
            let record = {
                let mut ring = self.ring.lock();
                let seq = ring.console_seq;
                let record = ring.since(seq).next().cloned();
                ring.console_seq = record.as_ref().map_or(ring.next_seq, |record| record.seq + 1);
                record
            };
            match (record, console.as_ref()) {
                (Some(record), Some(console)) => console(&record),
                (Some(_), None) => {}
                (None, _) => return,
            }
        }
    }

    fn close_open(&self, kernel: &'static Kernel) {
        let closed = self.ring.lock().close_open();
        if closed {
            self.published(kernel);
        }
    }

    /// The last `count` records. The ring may be locked by a thread that will never run again: then there are none.
    pub(crate) fn tail(&self, count: usize) -> Vec<Record> {
        let Some(ring) = (0..1_000_000).find_map(|_| self.ring.try_lock()) else {
            return Vec::new();
        };
        let from = ring.records.len().saturating_sub(count);
        ring.records.iter().skip(from).chain(&ring.open).cloned().collect()
    }
}

/// # Safety
/// `arg` is a kernel.
unsafe extern "C" fn open_line_expired(arg: *mut c_void) {
    // SAFETY: the caller's contract; kernels are never freed.
    let kernel: &'static Kernel = unsafe { &*arg.cast::<Kernel>() };
    kernel.log.ring.lock().timer_armed = false;
    kernel.log.close_open(kernel);
}

impl Kernel {
    /// The records from number `from_seq` on that are still there, oldest first.
    pub fn log_records(&'static self, from_seq: u64) -> Vec<Record> {
        self.log.close_open(self);
        self.log.ring.lock().since(from_seq).cloned().collect()
    }

    /// Waits for the record with the number `seq`. May sleep.
    pub fn log_wait(&'static self, seq: u64) {
        self.log.waiters.fetch_add(1, Ordering::SeqCst);
        loop {
            let generation = self.log.generation.load(Ordering::SeqCst);
            if self.log.ring.lock().next_seq > seq {
                break;
            }
            self.ops.park(&self.log.generation, generation, NEVER);
        }
        self.log.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Hands every record to `console`, those in the log first. It may be called by any thread, by one at a time; it
    /// must not sleep, and what it logs itself it will be given, too.
    pub fn set_console(&'static self, console: Box<dyn Fn(&Record) + Send + Sync>) {
        *self.log.console.write() = Some(Arc::from(console));
        self.log.ring.lock().console_seq = 0;
        self.log.published(self);
    }
}

/// A message formatted by glue/printf.c.
///
/// # Safety
/// `text` are `len` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_printk_emit(text: *const c_char, len: usize) {
    // SAFETY: the caller's contract.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    let text = String::from_utf8_lossy(bytes);
    match sched::try_current() {
        Some(task) => message(task.kernel, &text),
        // A thread of no kernel: there is no log to write to, and silence would hide the fault.
        None => bug::say(&format!(
            "printk on a thread of no kernel: {}",
            split_header(&text).1.trim_end()
        )),
    }
}

/// Whether a message may be written now: 1 for the first ten in five seconds, in one count for the
/// whole kernel. How many were held back is logged once the time is over.
///
/// # Safety
/// `func` is a valid string.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __printk_ratelimit(func: *const c_char) -> c_int {
    let kernel = sched::current_kernel();
    let now = jiffies::now(kernel);
    let verdict = kernel.log.limit.lock().check(now, ratelimit::INTERVAL, ratelimit::BURST);
    if verdict.suppressed > 0 {
        // SAFETY: the caller's contract.
        let func = unsafe { string::lossy(func) };
        kprintln!(kernel => Level::DEFAULT, "{func}: {} callbacks suppressed", verdict.suppressed);
    }
    c_int::from(verdict.allowed)
}

/// Whether `interval_msec` have passed since the last true answer, whose tick is kept in
/// `*caller_jiffies`.
///
/// # Safety
/// `caller_jiffies` is valid and the caller's alone.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn printk_timed_ratelimit(
    caller_jiffies: *mut c_ulong,
    interval_msec: c_uint,
) -> bool {
    let now = jiffies::now(sched::current_kernel());
    // SAFETY: the caller's contract.
    let last = unsafe { *caller_jiffies };
    if last != 0 && now.wrapping_sub(last) <= jiffies::from_msecs(interval_msec) {
        return false;
    }
    // SAFETY: the caller's contract.
    unsafe { *caller_jiffies = now };
    true
}

#[cfg(test)]
mod tests;
