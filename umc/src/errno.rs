// SPDX-License-Identifier: GPL-2.0-only
//! Errors of the emulated kernel: a number, as in Linux.
//!
//! C header: `include/linux/errno.h`. At the border a function returns [`to_ret`] of its result, or a pointer made by
//! [`err_ptr`], which [`ptr_err`] looks into.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::num::NonZeroI32;

/// A positive errno value. `Display` gives the text of strerror(3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(NonZeroI32);

/// The result of everything inside `umc`.
pub type Result<T> = core::result::Result<T, Errno>;

/// Pointers to the last so many bytes of the address space are errors.
const ERRNO_MAX: isize = 4095;

macro_rules! errnos {
    ($($name:ident = $value:expr;)*) => {
        impl Errno {
            $(#[allow(missing_docs)] pub const $name: Errno = Errno(NonZeroI32::new($value).unwrap());)*
        }
    };
}

errnos! {
    EPERM = libc::EPERM; ENOENT = libc::ENOENT; ESRCH = libc::ESRCH; EINTR = libc::EINTR; EIO = libc::EIO;
    ENXIO = libc::ENXIO; EXDEV = libc::EXDEV; E2BIG = libc::E2BIG; ENOEXEC = libc::ENOEXEC; EBADF = libc::EBADF; EAGAIN = libc::EAGAIN;
    ENOMEM = libc::ENOMEM; EACCES = libc::EACCES; EFAULT = libc::EFAULT; EBUSY = libc::EBUSY; EEXIST = libc::EEXIST;
    ENODEV = libc::ENODEV; ENOTDIR = libc::ENOTDIR; EISDIR = libc::EISDIR; EINVAL = libc::EINVAL;
    ENOTTY = libc::ENOTTY; EFBIG = libc::EFBIG; ENOSPC = libc::ENOSPC; ESPIPE = libc::ESPIPE; EROFS = libc::EROFS;
    EPIPE = libc::EPIPE; ERANGE = libc::ERANGE; ENAMETOOLONG = libc::ENAMETOOLONG; ENOSYS = libc::ENOSYS;
    ENOTEMPTY = libc::ENOTEMPTY; ENOMSG = libc::ENOMSG; ENODATA = libc::ENODATA; ETIME = libc::ETIME;
    ENOLINK = libc::ENOLINK; EPROTO = libc::EPROTO; EBADMSG = libc::EBADMSG; EOVERFLOW = libc::EOVERFLOW;
    EILSEQ = libc::EILSEQ; ENOTSOCK = libc::ENOTSOCK; EDESTADDRREQ = libc::EDESTADDRREQ;
    EMSGSIZE = libc::EMSGSIZE; EPROTOTYPE = libc::EPROTOTYPE; ENOPROTOOPT = libc::ENOPROTOOPT;
    EPROTONOSUPPORT = libc::EPROTONOSUPPORT; EOPNOTSUPP = libc::EOPNOTSUPP; EAFNOSUPPORT = libc::EAFNOSUPPORT; ELOOP = libc::ELOOP;
    EADDRINUSE = libc::EADDRINUSE; EADDRNOTAVAIL = libc::EADDRNOTAVAIL; ENETDOWN = libc::ENETDOWN;
    ENETUNREACH = libc::ENETUNREACH; ECONNABORTED = libc::ECONNABORTED; ECONNRESET = libc::ECONNRESET;
    ENOBUFS = libc::ENOBUFS; EISCONN = libc::EISCONN; ENOTCONN = libc::ENOTCONN; ETIMEDOUT = libc::ETIMEDOUT;
    ECONNREFUSED = libc::ECONNREFUSED; EHOSTUNREACH = libc::EHOSTUNREACH; EALREADY = libc::EALREADY;
    EINPROGRESS = libc::EINPROGRESS; ESTALE = libc::ESTALE; EREMOTEIO = libc::EREMOTEIO;
    ERESTARTSYS = 512;
}

impl Errno {
    /// From a positive or a negative errno value. Zero, which is no error, becomes `EIO`.
    pub fn new(value: c_int) -> Errno {
        NonZeroI32::new(value.saturating_abs()).map_or(Errno::EIO, Errno)
    }

    /// The positive value.
    pub fn raw(self) -> c_int {
        self.0.get()
    }

    /// The negative value, as kernel functions return it.
    #[allow(clippy::should_implement_trait)] // not an operator: the result is no Errno
    pub fn neg(self) -> c_int {
        -self.0.get()
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.raw() {
            512 => f.write_str("interrupted by a signal"),
            raw => {
                let text = std::io::Error::from_raw_os_error(raw).to_string();
                f.write_str(text.split(" (os error").next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {self})", self.raw())
    }
}

impl std::error::Error for Errno {}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        error.raw_os_error().map_or(Errno::EIO, Errno::new)
    }
}

/// `0`, or the negative errno.
pub fn to_ret(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.neg(),
    }
}

/// How much was moved, or the negative errno.
pub fn to_len(result: Result<usize>) -> isize {
    result.map_or_else(|error| error.neg() as isize, usize::cast_signed)
}

/// `ERR_PTR` of `include/linux/err.h`.
pub fn err_ptr<T>(error: Errno) -> *mut T {
    std::ptr::without_provenance_mut::<c_void>(error.neg() as isize as usize).cast()
}

/// The error in an error pointer: `IS_ERR` and `PTR_ERR` of `include/linux/err.h`.
pub fn ptr_err<T>(pointer: *const T) -> Option<Errno> {
    let value = pointer.addr() as isize;
    (-ERRNO_MAX..0).contains(&value).then(|| Errno::new(value as c_int))
}

/// `IS_ERR_OR_NULL` of `include/linux/err.h`.
pub fn is_err_or_null<T>(pointer: *const T) -> bool {
    pointer.is_null() || ptr_err(pointer).is_some()
}

/// Turns the kernel's convention, a value or a negative errno, into a `Result`.
pub fn from_ret(ret: c_int) -> Result<c_int> {
    if ret < 0 { Err(Errno::new(ret)) } else { Ok(ret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders() {
        assert_eq!(Errno::EIO.neg(), -5);
        assert_eq!(from_ret(-28), Err(Errno::ENOSPC));
        assert_eq!(err_ptr::<u8>(Errno::ENOMEM) as isize, -12);
        assert_eq!(ptr_err(err_ptr::<u8>(Errno::ENOMEM)), Some(Errno::ENOMEM));
        let at = |value: isize| std::ptr::without_provenance::<u8>(value as usize);
        assert_eq!(ptr_err(at(-4095)), Some(Errno::new(4095)));
        assert!(!is_err_or_null(at(-4096)) && is_err_or_null(at(0)) && is_err_or_null(at(-1)));
        assert_eq!(Errno::ENOSPC.to_string(), "No space left on device");
    }
}
