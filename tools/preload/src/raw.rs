// SPDX-License-Identifier: GPL-2.0-only
//! System calls for the library's own work, past every hook.

use core::arch::asm;
use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::mem::MaybeUninit;

use libc::AT_FDCWD;

use crate::bytes::{decimal, join};

/// Bytes of the longest path that the kernel takes, its NUL among them.
pub const PATH_MAX: usize = libc::PATH_MAX as usize;

/// A system call by its number, not by libc's `syscall`, which is hooked. errno stays as it is.
///
/// # Safety
/// `args` are what the call wants; it may read and write what they point to.
unsafe fn call<const N: usize>(number: c_long, args: [usize; N]) -> Result<usize, c_int> {
    let mut six = [0; 6];
    six[..N].copy_from_slice(&args);
    let [a, b, c, d, e, f] = six;
    let value: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: by contract; the kernel clobbers rcx and r11 besides the result.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => value, in("rdi") a, in("rsi") b,
             in("rdx") c, in("r10") d, in("r8") e, in("r9") f, out("rcx") _, out("r11") _,
             options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: by contract; the kernel changes nothing but the result.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => value, in("x1") b, in("x2") c,
             in("x3") d, in("x4") e, in("x5") f, options(nostack));
    }
    usize::try_from(value).map_err(|_| -value as c_int)
}

/// The address of something the kernel reads or writes.
fn at<T: ?Sized>(pointer: *const T) -> usize {
    pointer.cast::<u8>() as usize
}

/// Whether `path` exists; a final symlink is not followed.
///
/// # Errors
/// Why that cannot be said.
pub fn exists(path: *const c_char) -> Result<bool, c_int> {
    match fstatat(AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// newfstatat(2).
pub fn fstatat(dir: c_int, path: *const c_char, flags: c_int) -> Result<libc::stat, c_int> {
    let mut st = MaybeUninit::<libc::stat>::uninit();
    let args = [dir as usize, at(path), at(st.as_mut_ptr()), flags as usize];
    // SAFETY: `path` is a C string of the caller's, `st` has room for what the call writes.
    unsafe { call(libc::SYS_newfstatat, args) }?;
    // SAFETY: the call succeeded, so it filled `st`.
    Ok(unsafe { st.assume_init() })
}

/// What statx(2) says of the mount that `path` is on.
pub struct Mount {
    /// Its number. Since Linux 6.8 no other mount ever has it; before, one may get it when this one is gone.
    pub id: u64,
    /// Whether `path` is its root.
    pub is_root: bool,
}

/// The mount that `path` is on, from what the kernel knows without asking a file system.
pub fn mount(path: *const c_char) -> Result<Mount, c_int> {
    /// STATX_MNT_ID, and STATX_MNT_ID_UNIQUE where the kernel knows that.
    const STATX_MNT_ID: usize = 0x5000;
    const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    // `struct statx` has 256 bytes: the attributes are its second word, the mount's number is its nineteenth.
    let mut words = [0_u64; 32];
    let flags = libc::AT_STATX_DONT_SYNC as usize;
    let args = [AT_FDCWD as usize, at(path), flags, STATX_MNT_ID, at(words.as_mut_ptr())];
    // SAFETY: `path` is a C string of the caller's, `words` has room for what the call writes.
    unsafe { call(libc::SYS_statx, args) }?;
    Ok(Mount { id: words[18], is_root: words[1] & STATX_ATTR_MOUNT_ROOT != 0 })
}

/// fstat(2).
pub fn fstat(fd: c_int) -> Result<libc::stat, c_int> {
    fstatat(fd, c"".as_ptr(), libc::AT_EMPTY_PATH)
}

/// The working directory; None when it is gone, unreachable or longer than `out`.
pub fn getcwd(out: &mut [u8]) -> Option<usize> {
    // SAFETY: the kernel writes at most `out.len()` bytes.
    let len = unsafe { call(libc::SYS_getcwd, [at(out.as_ptr()), out.len()]) };
    // The count includes the NUL. "(unreachable)" does not begin with a slash.
    let len = len.ok()?.checked_sub(1)?;
    (out.first() == Some(&b'/')).then_some(len)
}

/// The target of the symlink `path`, as much of it as `out` holds.
pub fn readlink(path: &CStr, out: &mut [u8]) -> Result<usize, c_int> {
    readlinkat(AT_FDCWD, path, out)
}

/// The same of a name in a directory.
pub fn readlinkat(dir: c_int, path: &CStr, out: &mut [u8]) -> Result<usize, c_int> {
    let args = [dir as usize, at(path.as_ptr()), at(out.as_ptr()), out.len()];
    // SAFETY: the kernel writes at most `out.len()` bytes.
    unsafe { call(libc::SYS_readlinkat, args) }
}

/// The name of the open directory `fd`; None where it has none any more.
pub fn name_of(fd: c_int, out: &mut [u8]) -> Option<usize> {
    let (mut link, mut digits) = ([0; 32], [0; 10]);
    let digits = decimal(u32::try_from(fd).ok()?, &mut digits);
    let link = join(b"/proc/self/fd/", &[digits], &mut link)?;
    let len = readlink(link, out).ok()?;
    let name = &out[..len];
    (name.first() == Some(&b'/') && len < out.len() && !name.ends_with(b" (deleted)"))
        .then_some(len)
}

/// openat(2) without a mode, close-on-exec.
pub fn open(path: &CStr, flags: c_int) -> Result<c_int, c_int> {
    let args = [AT_FDCWD as usize, at(path.as_ptr()), (flags | libc::O_CLOEXEC) as usize];
    // SAFETY: `path` is a C string; O_CREAT, which would need a mode, is never passed.
    unsafe { call(libc::SYS_openat, args) }.map(|fd| fd as c_int)
}

/// socket(2).
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> Result<c_int, c_int> {
    // SAFETY: plain values.
    unsafe { call(libc::SYS_socket, [domain as usize, kind as usize, protocol as usize]) }
        .map(|fd| fd as c_int)
}

/// connect(2) of a unix socket.
pub fn connect(fd: c_int, name: &libc::sockaddr_un, len: usize) -> Result<(), c_int> {
    // SAFETY: the kernel reads `len` bytes of the name, which has as many.
    unsafe { call(libc::SYS_connect, [fd as usize, at(name), len.min(size_of_val(name))]) }
        .map(drop)
}

/// Two sockets that keep records apart, connected to each other, close-on-exec.
pub fn pair() -> Result<(c_int, c_int), c_int> {
    let mut fds: [c_int; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    let args = [libc::AF_UNIX as usize, kind as usize, 0, at(fds.as_mut_ptr())];
    // SAFETY: there is room for two.
    unsafe { call(libc::SYS_socketpair, args) }.map(|_| (fds[0], fds[1]))
}

/// The reading and the writing end of a pipe, close-on-exec, that never block.
pub fn pipe() -> Result<(c_int, c_int), c_int> {
    let mut fds: [c_int; 2] = [-1; 2];
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: there is room for two.
    unsafe { call(libc::SYS_pipe2, [at(fds.as_mut_ptr()), flags as usize]) }
        .map(|_| (fds[0], fds[1]))
}

/// A socket option of SOL_SOCKET that is an int.
pub fn option(fd: c_int, name: c_int) -> Result<c_int, c_int> {
    let (mut value, mut len): (c_int, libc::socklen_t) = (0, 4);
    let (value_at, len_at) = (at(&raw mut value), at(&raw mut len));
    let args = [fd as usize, libc::SOL_SOCKET as usize, name as usize, value_at, len_at];
    // SAFETY: there is room for an int.
    unsafe { call(libc::SYS_getsockopt, args) }.map(|_| value)
}

/// Sets such an option.
pub fn set_option(fd: c_int, name: c_int, value: c_int) -> Result<(), c_int> {
    let args = [fd as usize, libc::SOL_SOCKET as usize, name as usize, at(&value), 4];
    // SAFETY: an int is read.
    unsafe { call(libc::SYS_setsockopt, args) }.map(drop)
}

/// The flags of an open file: F_GETFL.
pub fn open_flags(fd: c_int) -> Result<c_int, c_int> {
    // SAFETY: plain values.
    unsafe { call(libc::SYS_fcntl, [fd as usize, libc::F_GETFL as usize, 0]) }
        .map(|flags| flags as c_int)
}

/// F_SETFL, and whether exec closes the descriptor.
pub fn set_open_flags(fd: c_int, flags: c_int, closes: bool) -> Result<(), c_int> {
    let closes = if closes { libc::FD_CLOEXEC } else { 0 };
    for (command, value) in [(libc::F_SETFL, flags), (libc::F_SETFD, closes)] {
        // SAFETY: plain values.
        unsafe { call(libc::SYS_fcntl, [fd as usize, command as usize, value as usize]) }?;
    }
    Ok(())
}

/// A control message with up to three descriptors.
#[repr(C)]
struct Rights {
    len: usize,
    level: c_int,
    kind: c_int,
    fds: [c_int; 4],
}

/// Sends one record.
pub fn send(fd: c_int, record: &[u8]) -> Result<(), c_int> {
    send_with(fd, record, None, &[])
}

/// Sends one record, with `memory` behind it, which need not be memory, and descriptors, three at most. Never raises
/// SIGPIPE; waits for room, also on a socket that does not block.
///
/// # Errors
/// EFAULT where `memory` cannot be read; nothing is sent then.
pub fn send_with(
    fd: c_int,
    record: &[u8],
    memory: Option<libc::iovec>,
    fds: &[c_int],
) -> Result<(), c_int> {
    let head = libc::iovec { iov_base: record.as_ptr().cast_mut().cast(), iov_len: record.len() };
    let empty = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };
    let mut parts = [head, memory.unwrap_or(empty)];
    let len = 16 + size_of_val(fds);
    let mut rights = Rights { len, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fds: [0; 4] };
    for (to, from) in rights.fds.iter_mut().zip(fds) {
        *to = *from;
    }
    // SAFETY: a msghdr is plain data for which zero means "none".
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), 2);
    if !fds.is_empty() {
        message.msg_control = (&raw mut rights).cast();
        message.msg_controllen = len.next_multiple_of(8) as _;
    }
    loop {
        let args = [fd as usize, at(&raw const message), libc::MSG_NOSIGNAL as usize];
        // SAFETY: the message describes what lives through the call, or memory that the kernel looks at with care.
        match unsafe { call(libc::SYS_sendmsg, args) } {
            Ok(_) => return Ok(()),
            Err(libc::EINTR) => {}
            Err(libc::EAGAIN) => wait_for_room(fd),
            Err(error) => return Err(error),
        }
    }
}

fn wait_for_room(fd: c_int) {
    let mut ready = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, and no time limit and no signal mask.
    let _ = unsafe { call(libc::SYS_ppoll, [at(&raw mut ready), 1, 0, 0]) };
}

/// Receives the beginning of a record: its length up to that of `out`, 0 at the end of the connection.
pub fn receive(fd: c_int, out: &mut [u8], flags: c_int) -> Result<usize, c_int> {
    let args = [fd as usize, at(out.as_mut_ptr()), out.len(), flags as usize, 0, 0];
    // SAFETY: the kernel writes at most `out.len()` bytes.
    unsafe { call(libc::SYS_recvfrom, args) }
}

/// Receives a record whose head goes to `head`, the rest to `memory`, which need not be memory.
///
/// # Errors
/// EFAULT where it cannot be written to; a part may have been.
pub fn receive_into(fd: c_int, head: &mut [u8], memory: libc::iovec) -> Result<(), c_int> {
    let head = libc::iovec { iov_base: head.as_mut_ptr().cast(), iov_len: head.len() };
    let mut parts = [head, memory];
    // SAFETY: a msghdr is plain data for which zero means "none".
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), 2);
    let args = [fd as usize, at(&raw mut message), libc::MSG_DONTWAIT as usize];
    // SAFETY: the message describes what lives through the call, or memory that the kernel looks at with care; who asked
    // the node to make a call said that it may write there.
    unsafe { call(libc::SYS_recvmsg, args) }.map(drop)
}

/// Set the offset of `fd` to its beginning.
pub fn rewind(fd: c_int) -> Result<(), c_int> {
    // SAFETY: plain values.
    unsafe { call(libc::SYS_lseek, [fd as usize, 0, libc::SEEK_SET as usize]) }.map(drop)
}

/// getdents64(2).
pub fn getdents(fd: c_int, out: &mut [u8]) -> Result<usize, c_int> {
    // SAFETY: the kernel writes at most `out.len()` bytes.
    unsafe { call(libc::SYS_getdents64, [fd as usize, at(out.as_ptr()), out.len()]) }
}

/// ioctl(2).
///
/// # Safety
/// `arg` is what the request wants.
pub unsafe fn ioctl(fd: c_int, request: libc::Ioctl, arg: *mut c_void) -> Result<usize, c_int> {
    // SAFETY: by contract.
    unsafe { call(libc::SYS_ioctl, [fd as usize, request as usize, at(arg)]) }
}

/// close(2).
pub fn close(fd: c_int) {
    // SAFETY: callers close descriptors that they opened themselves.
    let _ = unsafe { call(libc::SYS_close, [fd as usize]) };
}

/// The beginning of the file `path`, at most `out.len()` bytes.
pub fn read_file<'a>(path: &CStr, out: &'a mut [u8]) -> Result<&'a [u8], c_int> {
    let fd = open(path, libc::O_RDONLY)?;
    // SAFETY: the kernel writes at most `out.len()` bytes.
    let len = unsafe { call(libc::SYS_read, [fd as usize, at(out.as_ptr()), out.len()]) };
    close(fd);
    Ok(&out[..len?])
}

/// Everything that can be read from `path`.
pub fn read_whole_file(path: &CStr) -> Result<Vec<u8>, c_int> {
    let fd = open(path, libc::O_RDONLY)?;
    let mut text = Vec::new();
    let mut part = [0_u8; 4096];
    let ended = loop {
        // SAFETY: the kernel writes at most `part.len()` bytes.
        let read =
            unsafe { call(libc::SYS_read, [fd as usize, at(part.as_mut_ptr()), part.len()]) };
        match read {
            Ok(0) => break Ok(text),
            Ok(len) => text.extend_from_slice(&part[..len]),
            Err(libc::EINTR) => {}
            Err(error) => break Err(error),
        }
    };
    close(fd);
    ended
}

/// A file without a directory entry, close-on-exec.
pub fn memory_file(name: &CStr) -> Result<c_int, c_int> {
    // SAFETY: `name` is a C string.
    unsafe { call(libc::SYS_memfd_create, [at(name.as_ptr()), libc::MFD_CLOEXEC as usize]) }
        .map(|fd| fd as c_int)
}

/// Whether all of `data` was written.
pub fn write_all(fd: c_int, mut data: &[u8]) -> bool {
    while !data.is_empty() {
        // SAFETY: the kernel reads `data.len()` bytes.
        match unsafe { call(libc::SYS_write, [fd as usize, at(data.as_ptr()), data.len()]) } {
            Ok(len @ 1..) => data = &data[len..],
            Err(libc::EINTR) => {}
            Ok(0) | Err(_) => return false,
        }
    }
    true
}

/// write(2); what comes of it is not looked at.
pub fn write(fd: c_int, data: &[u8]) {
    // SAFETY: the kernel reads `data.len()` bytes.
    let _ = unsafe { call(libc::SYS_write, [fd as usize, at(data.as_ptr()), data.len()]) };
}

/// getpid(2).
pub fn process_id() -> c_int {
    // SAFETY: it has no arguments.
    unsafe { call(libc::SYS_getpid, []) }.unwrap_or(0) as c_int
}

/// SIGKILL for this process.
pub fn end_process() -> ! {
    loop {
        // SAFETY: it has no arguments.
        if let Ok(me) = unsafe { call(libc::SYS_getpid, []) } {
            // SAFETY: plain values.
            let _ = unsafe { call(libc::SYS_kill, [me, libc::SIGKILL as usize]) };
        }
    }
}

/// Say something on standard error; nothing to do when that fails.
pub fn complain(parts: &[&[u8]]) {
    let mut line = [0; 1024];
    let mut len = 0;
    for part in parts {
        let room = (line.len() - len).min(part.len());
        line[len..len + room].copy_from_slice(&part[..room]);
        len += room;
    }
    write(libc::STDERR_FILENO, &line[..len]);
}
