// SPDX-License-Identifier: GPL-2.0-only
//! The kernel log as a device: `/dev/kmsg`.
//!
//! C header: none; the format is that of Linux, `LEVEL,NUMBER,MICROSECONDS,-;TEXT`, one record a read.
//! Guarantees kept: a write is a record, with the level that its prefix `<N>` names; a read that starts over begins with
//! the oldest record; a reader sees each record once.
//! Differs from Linux: a read at the end of the log says that it is the end, and does not wait (`umc dmesg -f` does). It
//! is shown as a file, not as a character device. What was overwritten unread is passed over without EPIPE.
//! Used by DRBD for: nothing; scripts around it write there.

use std::collections::VecDeque;
use std::sync::Arc;

use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::kernel::Kernel;
use crate::printk::{self, Level, Record};
use crate::tree::{OpenFile, TreeFile};

const FILE: &str = "/dev/kmsg";

/// The longest line that is taken, as on Linux.
const LINE_MAX: usize = 1024;

/// Adds `/dev/kmsg`.
///
/// # Errors
/// `EEXIST`.
pub fn install(kernel: &'static Kernel) -> Result<()> {
    kernel.tree.add_file(FILE, 0o644, Arc::new(Device(kernel)))
}

struct Device(&'static Kernel);

impl TreeFile for Device {
    fn open(&self, _write: bool) -> Result<Box<dyn OpenFile>> {
        Ok(Box::new(Reader { kernel: self.0, state: Mutex::default() }))
    }
}

/// An open `/dev/kmsg`.
struct Reader {
    kernel: &'static Kernel,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Records that were taken out of the log and not read yet.
    ahead: VecDeque<Record>,
    /// Number of the record behind them.
    next_seq: u64,
}

impl OpenFile for Reader {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut state = self.state.lock();
        if offset == 0 {
            *state = State::default();
        }
        if state.ahead.is_empty() {
            state.ahead = self.kernel.log_records(state.next_seq).into();
            state.next_seq = state.ahead.back().map_or(state.next_seq, |last| last.seq + 1);
        }
        let Some(record) = state.ahead.front() else { return Ok(Vec::new()) };
        let line = line(record);
        // The record stays for a reader who comes back with more room.
        if line.len() > len {
            return Err(Errno::EINVAL);
        }
        state.ahead.pop_front();
        Ok(line.into_bytes())
    }

    fn write(&self, _offset: u64, data: &[u8]) -> Result<usize> {
        if data.len() > LINE_MAX {
            return Err(Errno::EINVAL);
        }
        let text = String::from_utf8_lossy(data);
        let (level, text) = split_level(&text);
        printk::emit_record(self.kernel, level, text);
        Ok(data.len())
    }
}

/// A record as a read returns it. What is no text is escaped, so that a line stays a line.
fn line(record: &Record) -> String {
    let mut line = format!("{},{},{},-;", record.level, record.seq, record.time_ns / 1000);
    for byte in record.text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'\\' => line.push(byte.into()),
            _ => line.push_str(&format!("\\x{byte:02x}")),
        }
    }
    line.push('\n');
    line
}

/// Takes `<N>` off, whose lowest three bits are the level; above it is a facility.
fn split_level(text: &str) -> (Level, &str) {
    let number = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match number.and_then(|(number, rest)| Some((number.parse::<u32>().ok()?, rest))) {
        Some((number, rest)) => (Level::from_number(number & 7).unwrap_or(Level::DEFAULT), rest),
        None => (Level::DEFAULT, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, sched};

    fn open() -> Box<dyn OpenFile> {
        let kernel = Kernel::boot(Config::default());
        sched::attach(kernel, "test");
        install(kernel).unwrap();
        let ino = kernel.tree.resolve(FILE).unwrap().ino;
        kernel.tree.open(ino, true).unwrap()
    }

    /// The next record, less its time.
    fn next(file: &dyn OpenFile, offset: &mut u64) -> String {
        let line = String::from_utf8(file.read(*offset, 8192).unwrap()).unwrap();
        *offset += line.len() as u64;
        let mut fields = line.splitn(3, ',');
        let (level, seq) = (fields.next().unwrap(), fields.next().unwrap_or(""));
        format!("{level},{seq} {}", line.split_once(';').map_or("", |(_, text)| text))
    }

    #[test]
    fn what_is_written_is_read_one_record_at_a_time() {
        let file = open();
        for text in ["plain\n", "<6>info", "<13>user notice\n", "<x>\ttab\\", "two\nlines\n\n"] {
            assert_eq!(file.write(0, text.as_bytes()), Ok(text.len()));
        }
        let mut offset = 0;
        for want in [
            "4,0 plain\n",
            "6,1 info\n",
            "5,2 user notice\n",
            "4,3 <x>\\x09tab\\x5c\n",
            "4,4 two\\x0alines\\x0a\n",
            ", ",
        ] {
            assert_eq!(next(&*file, &mut offset), want);
        }
        // What comes later is read, too, and the beginning again.
        file.write(0, b"late").unwrap();
        assert_eq!(next(&*file, &mut offset), "4,5 late\n");
        assert_eq!(next(&*file, &mut 0), "4,0 plain\n");
    }

    #[test]
    fn lengths_are_checked() {
        let file = open();
        assert_eq!(file.write(0, &[b'x'; LINE_MAX + 1]), Err(Errno::EINVAL));
        file.write(0, b"some text").unwrap();
        assert_eq!(file.read(0, 8), Err(Errno::EINVAL));
        assert!(file.read(0, 100).unwrap().ends_with(b"some text\n"));
    }
}
