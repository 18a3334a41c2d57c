// SPDX-License-Identifier: GPL-2.0-only
//! What an ioctl points at, fetched from its caller.
//!
//! FUSE copies the argument of an ioctl by the size that is in its number. `BLKDISCARD` and `BLKZEROOUT` have none, so all
//! that arrives is that somebody asks. The host shows the rest: the caller waits in its system call, whose registers are
//! in `/proc/TID/syscall`, and its memory is `/proc/TID/mem`. Where the host does not show them to this process the ioctl
//! stays unknown, as without this.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicU32;

use umc::Kernel;

/// How often, and how long apart, a caller is looked at that is still on its way to sleep.
const LOOKS: u32 = 100;
const PAUSE_NS: u64 = 100_000;

/// Two numbers that the ioctl `request` of thread `tid` points at. May sleep.
pub(crate) fn two_numbers(kernel: &'static Kernel, tid: u32, request: u32) -> Option<(u64, u64)> {
    let address = argument(kernel, tid, request)?;
    let mut bytes = [0; 16];
    File::open(format!("/proc/{tid}/mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
    let (start, len) = bytes.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    Some((number(start)?, number(len)?))
}

/// The third argument of the ioctl in which a thread waits.
fn argument(kernel: &'static Kernel, tid: u32, request: u32) -> Option<u64> {
    let never = AtomicU32::new(0);
    for _ in 0..LOOKS {
        let line = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
        match address_in(&line, request) {
            Looked::Waits(address) => return Some(address),
            Looked::Elsewhere => return None,
            Looked::Runs => {
                kernel.ops.park(&never, 0, kernel.ops.now_ns() + PAUSE_NS);
            }
        }
    }
    None
}

#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// In this ioctl, with this argument.
    Waits(u64),
    /// On a processor: it has sent its request, and is about to wait.
    Runs,
    /// In another call, or it is gone.
    Elsewhere,
}

/// Takes apart a line of `/proc/TID/syscall`: number and six arguments, stack and instruction pointer, or `running`.
fn address_in(line: &str, request: u32) -> Looked {
    if line.starts_with("running") {
        return Looked::Runs;
    }
    let mut words = line.split_whitespace();
    let is_ioctl = words.next() == Some(&libc::SYS_ioctl.to_string());
    let mut argument = || u64::from_str_radix(words.nth(1)?.strip_prefix("0x")?, 16).ok();
    // The descriptor is skipped; of the request the kernel looks at 32 bits.
    match (argument(), line.split_whitespace().nth(3)) {
        (Some(asked), Some(address)) if is_ioctl && asked as u32 == request => address
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map_or(Looked::Elsewhere, Looked::Waits),
        _ => Looked::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_host() {
        let line = "16 0x3 0x1277 0x7ffd10 0x0 0x0 0x8 0x7ffd00 0x7f0a\n";
        assert_eq!(address_in(line, 0x1277), Looked::Waits(0x7f_fd10));
        assert_eq!(address_in(line, 0x127f), Looked::Elsewhere);
        assert_eq!(address_in(&line.replace("16 ", "0 "), 0x1277), Looked::Elsewhere);
        assert_eq!(address_in("running\n", 0x1277), Looked::Runs);
        assert_eq!(address_in("-1 0x0 0x0\n", 0x1277), Looked::Elsewhere);
        assert_eq!(address_in("", 0x1277), Looked::Elsewhere);
    }
}
