//! System calls for the library's own work, past every hook.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;

use libc::{AT_FDCWD, syscall};

use crate::real::{errno, set_errno};

/// -1 with errno, as `syscall` returns it, to a Result.
fn result(value: libc::c_long) -> Result<usize, c_int> {
    usize::try_from(value).map_err(|_| errno())
}

/// Whether `path` exists; a final symlink is not followed.
pub fn exists(path: *const c_char) -> bool {
    let before = errno();
    // SAFETY: `path` is a C string of the caller's; AT_SYMLINK_NOFOLLOW and F_OK write nothing.
    let result = unsafe {
        syscall(libc::SYS_faccessat2, AT_FDCWD, path, libc::F_OK, libc::AT_SYMLINK_NOFOLLOW)
    };
    let found = result == 0 || (errno() == libc::ENOSYS && lstat(path).is_ok());
    set_errno(before);
    found
}

fn lstat(path: *const c_char) -> Result<libc::stat, c_int> {
    fstatat(AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW)
}

/// newfstatat(2).
pub fn fstatat(dir: c_int, path: *const c_char, flags: c_int) -> Result<libc::stat, c_int> {
    let mut st = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `path` is a C string of the caller's, `st` has room for what the call writes.
    result(unsafe { syscall(libc::SYS_newfstatat, dir, path, st.as_mut_ptr(), flags) })?;
    // SAFETY: the call succeeded, so it filled `st`.
    Ok(unsafe { st.assume_init() })
}

/// fstat(2).
pub fn fstat(fd: c_int) -> Result<libc::stat, c_int> {
    fstatat(fd, c"".as_ptr(), libc::AT_EMPTY_PATH)
}

/// The working directory; None when it is gone, unreachable or longer than `out`.
pub fn getcwd(out: &mut [u8]) -> Option<usize> {
    // SAFETY: the kernel writes at most `out.len()` bytes.
    let len = unsafe { syscall(libc::SYS_getcwd, out.as_mut_ptr(), out.len()) };
    // The count includes the NUL. "(unreachable)" does not begin with a slash.
    let len = usize::try_from(len).ok()?.checked_sub(1)?;
    (out.first() == Some(&b'/')).then_some(len)
}

/// The target of the symlink `path`.
pub fn readlink(path: &CStr, out: &mut [u8]) -> Result<usize, c_int> {
    // SAFETY: the kernel writes at most `out.len()` bytes.
    let call = unsafe {
        syscall(libc::SYS_readlinkat, AT_FDCWD, path.as_ptr(), out.as_mut_ptr(), out.len())
    };
    result(call)
}

/// openat(2) without a mode, close-on-exec.
pub fn open(path: &CStr, flags: c_int) -> Result<c_int, c_int> {
    // SAFETY: `path` is a C string; O_CREAT, which would need a mode, is never passed.
    let call =
        unsafe { syscall(libc::SYS_openat, AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC) };
    result(call).map(|fd| fd as c_int)
}

/// ioctl(2).
///
/// # Safety
/// `arg` is what the request wants.
pub unsafe fn ioctl(fd: c_int, request: libc::Ioctl, arg: *mut c_void) -> Result<usize, c_int> {
    // SAFETY: by contract.
    result(unsafe { syscall(libc::SYS_ioctl, fd, request, arg) })
}

/// close(2).
pub fn close(fd: c_int) {
    // SAFETY: callers close descriptors that they opened themselves.
    unsafe { syscall(libc::SYS_close, fd) };
}

/// The beginning of the file `path`, at most `out.len()` bytes.
pub fn read_file<'a>(path: &CStr, out: &'a mut [u8]) -> Result<&'a [u8], c_int> {
    let fd = open(path, libc::O_RDONLY)?;
    // SAFETY: the kernel writes at most `out.len()` bytes.
    let call = unsafe { syscall(libc::SYS_read, fd, out.as_mut_ptr(), out.len()) };
    let len = result(call);
    close(fd);
    Ok(&out[..len?])
}

/// write(2); what comes of it is not looked at.
pub fn write(fd: c_int, data: &[u8]) {
    // SAFETY: the kernel reads `data.len()` bytes.
    unsafe { syscall(libc::SYS_write, fd, data.as_ptr(), data.len()) };
}

/// SIGKILL for this process.
pub fn end_process() -> ! {
    loop {
        // SAFETY: plain values.
        unsafe { syscall(libc::SYS_kill, syscall(libc::SYS_getpid), libc::SIGKILL) };
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
    // SAFETY: `line` has `len` bytes.
    unsafe { syscall(libc::SYS_write, libc::STDERR_FILENO, line.as_ptr(), len) };
}
