// SPDX-License-Identifier: GPL-2.0-only
//! What a handler may do to the process, and what of libc it finds here instead.
//!
//! A handler was written for a process of its own. It may call `exit`, which would end the node without a word; it may
//! meet a limit of the host, whose signal would. And Debian's qcow handler allocates by a call that some file systems do not
//! have, tmpfs among them.

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::Once;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{getpid, gettid};

unsafe extern "C" {
    fn on_exit(function: extern "C" fn(c_int, *mut c_void), arg: *mut c_void) -> c_int;
}

/// Prepares the process for handlers. Once; before the first one is loaded.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        extern "C" fn nothing(_signal: c_int) {}
        let handler = SigHandler::Handler(nothing);
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: both functions are valid for the rest of the process. A write beyond the limit of a file's size fails
        // with EFBIG, too, and that is enough; a function, unlike SIG_IGN, is not inherited by programs.
        unsafe {
            let _ = sigaction(Signal::SIGXFSZ, &action);
            on_exit(exits, std::ptr::null_mut());
        }
    });
}

/// The process exits. A node does so by returning from its first thread; other threads, and that one while it calls a
/// handler, have no reason of ours.
extern "C" fn exits(status: c_int, _: *mut c_void) {
    if gettid() != getpid() || crate::log::is_keeping() {
        panic!("A handler called exit({status})");
    }
}

/// fallocate(2), which zeroes a range also where the file system cannot: the range becomes a hole.
///
/// # Safety
/// As the C function.
///
/// # Context
/// May block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate(
    fd: c_int,
    mode: c_int,
    offset: libc::off_t,
    len: libc::off_t,
) -> c_int {
    const KEEP_SIZE: c_int = libc::FALLOC_FL_KEEP_SIZE;
    let plain = |mode: c_int| {
        // SAFETY: numbers.
        unsafe { libc::syscall(libc::SYS_fallocate, fd, mode, offset, len) as c_int }
    };
    let ret = plain(mode);
    let is_unknown =
        || io::Error::last_os_error().raw_os_error().is_some_and(|raw| raw == libc::EOPNOTSUPP);
    if ret == 0 || mode & !KEEP_SIZE != libc::FALLOC_FL_ZERO_RANGE || !is_unknown() {
        return ret;
    }
    let ret = plain(libc::FALLOC_FL_PUNCH_HOLE | KEEP_SIZE);
    if ret != 0 || mode & KEEP_SIZE != 0 {
        return ret;
    }
    // SAFETY: all-zero is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    let end = offset + len;
    // SAFETY: a `stat` to fill, and numbers.
    unsafe {
        match libc::fstat(fd, &raw mut stat) {
            0 if stat.st_size < end => libc::ftruncate(fd, end),
            ret => ret,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn zeroes_where_the_file_system_cannot() {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open("/dev/shm/umc-fallocate")
            .expect("a file on tmpfs");
        std::fs::remove_file("/dev/shm/umc-fallocate").expect("its name");
        file.write_all(&[7; 8192]).expect("written");
        // SAFETY: numbers.
        let zero = |mode, at, len| unsafe { libc::fallocate(file.as_raw_fd(), mode, at, len) };
        assert_eq!(zero(libc::FALLOC_FL_ZERO_RANGE, 4096, 8192), 0);
        let keep = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
        assert_eq!(zero(keep, 100, 50), 0);
        assert_eq!(zero(keep, 16384, 4096), 0);
        let mut found = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut found)).expect("read");
        let mut wanted = vec![7; 12288];
        wanted[4096..].fill(0);
        wanted[100..150].fill(0);
        assert!(found == wanted, "{} bytes", found.len());
    }
}
