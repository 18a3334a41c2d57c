// SPDX-License-Identifier: GPL-2.0-only
//! Memory and stacks in the log.

use std::ffi::{c_char, c_int, c_void};

use super::message;
use crate::kprintln;
use crate::printk::Level;
use crate::{bug, sched, string};

/// How a line of a dump is laid out.
struct Layout {
    row: usize,
    group: usize,
    ascii: bool,
}

impl Layout {
    /// Anything but rows of 16 or 32 bytes and groups of 1, 2, 4 or 8 becomes 16 and 1; a dump that groups do not
    /// divide is shown byte by byte.
    fn new(row: c_int, group: c_int, len: usize, ascii: bool) -> Layout {
        let row = if row == 32 { 32 } else { 16 };
        let group = if matches!(group, 1 | 2 | 4 | 8) { group as usize } else { 1 };
        let group = if len.min(row) % group == 0 { group } else { 1 };
        Layout { row, group, ascii }
    }

    /// One line: numbers in the host's byte order, and the characters in their own column.
    fn line(&self, bytes: &[u8]) -> String {
        let mut line = String::new();
        for (at, group) in bytes.chunks(self.group).enumerate() {
            if at > 0 {
                line.push(' ');
            }
            group.iter().rev().for_each(|byte| line.push_str(&format!("{byte:02x}")));
        }
        if self.ascii {
            let column = self.row * 2 + self.row / self.group + 1;
            line.push_str(&" ".repeat(column.saturating_sub(line.len())));
            let shown = |byte: &u8| if matches!(byte, 0x20..0x7f) { *byte as char } else { '.' };
            line.extend(bytes.iter().map(shown));
        }
        line
    }
}

/// Writes one line of at most 16 or 32 bytes in hexadecimal, cut at `linebuflen`; gives the length
/// of the whole line.
///
/// # Safety
/// `buf` are `len` valid bytes, `linebuf` has room for `linebuflen`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hex_dump_to_buffer(
    buf: *const c_void,
    len: usize,
    rowsize: c_int,
    groupsize: c_int,
    linebuf: *mut c_char,
    linebuflen: usize,
    ascii: bool,
) -> c_int {
    let layout = Layout::new(rowsize, groupsize, len, ascii);
    let len = len.min(layout.row);
    let line = if len == 0 {
        String::new()
    } else {
        // SAFETY: `buf` are at least `len` valid bytes, after the cut above too.
        layout.line(unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), len) })
    };
    // SAFETY: `linebuf` has room for `linebuflen` bytes.
    unsafe { string::store(linebuf, linebuflen, line.as_bytes()) };
    line.len() as c_int
}

/// Logs `len` bytes in rows of 16 or 32, each behind `prefix_str` and, as `prefix_type` says, its
/// address or offset.
///
/// # Safety
/// `level` and `prefix_str` are valid strings, `buf` are `len` valid bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn print_hex_dump(
    level: *const c_char,
    prefix_str: *const c_char,
    prefix_type: c_int,
    rowsize: c_int,
    groupsize: c_int,
    buf: *const c_void,
    len: usize,
    ascii: bool,
) {
    // SAFETY: both are strings.
    let (level, prefix) = unsafe { (string::lossy(level), string::lossy(prefix_str)) };
    if len == 0 {
        return;
    }
    // SAFETY: `buf` are `len` valid bytes, and `len` is not 0.
    let bytes = unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), len) };
    let kernel = sched::current_kernel();
    for (at, row) in bytes.chunks(if rowsize == 32 { 32 } else { 16 }).enumerate() {
        let layout = Layout::new(rowsize, groupsize, row.len(), ascii);
        let offset = at * layout.row;
        let place = match prefix_type as u32 {
            crate::sys::DUMP_PREFIX_ADDRESS => format!("{:016x}: ", buf as usize + offset),
            crate::sys::DUMP_PREFIX_OFFSET => format!("{offset:08x}: "),
            _ => String::new(),
        };
        message(kernel, &format!("{level}{prefix}{place}{}\n", layout.line(row)));
    }
}

/// Logs the stack of the calling thread at the level of debug messages.
///
/// # Safety
/// None.
/// # Context
/// Any; slow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dump_stack() {
    // SAFETY: a literal.
    unsafe { dump_stack_lvl(c"\x017".as_ptr()) }
}

/// Logs the stack of the calling thread at `level`.
///
/// # Safety
/// `level` is a valid string: a `KERN_` prefix.
/// # Context
/// Any; slow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dump_stack_lvl(level: *const c_char) {
    // SAFETY: the caller's contract.
    let level = unsafe { string::lossy(level) };
    let kernel = sched::current_kernel();
    let level = level
        .chars()
        .nth(1)
        .and_then(|digit| digit.to_digit(8))
        .and_then(Level::from_number)
        .unwrap_or(Level::Debug);
    bug::stack_lines("dump_stack").iter().for_each(|line| kprintln!(kernel => level, "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let bytes: Vec<u8> = (0x3e..0x4e).collect();
        let line = |group, ascii| Layout::new(16, group, 16, ascii).line(&bytes);
        assert_eq!(line(1, false), "3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d");
        assert_eq!(line(4, false), "41403f3e 45444342 49484746 4d4c4b4a");
        assert_eq!(
            line(1, true),
            "3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d  >?@ABCDEFGHIJKLM"
        );
        assert_eq!(Layout::new(16, 4, 3, true).line(b"ab\0"), format!("{:<49}ab.", "61 62 00"));
    }
}
