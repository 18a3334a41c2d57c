// SPDX-License-Identifier: GPL-2.0-only
//! The caller of a request, where that is another process: its memory and its descriptors.
//!
//! On Linux a system call runs in the task of its caller, so `copy_from_user` and `fget` need not be told whose memory and
//! whose files they mean. Here the task that serves a request is another one, and whoever carries the request says for its
//! time how the caller is reached. Without that, memory of the caller is memory of this process, as the carriers inside of
//! it have it, and nobody has descriptors.

use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use crate::{Devt, Result};

/// How the caller of a request is reached. Each call may sleep.
pub trait Caller {
    /// Fills `to` from the caller's memory at `addr`.
    ///
    /// # Errors
    /// `EFAULT` where that is not readable memory of the caller, or the caller is gone. What `to` holds then is anything.
    fn read(&self, addr: usize, to: &mut [u8]) -> Result<()>;

    /// Copies `from` into the caller's memory at `addr`.
    ///
    /// # Errors
    /// `EFAULT` where that is not writable memory of the caller, or the caller is gone. A part may have been written.
    fn write(&self, addr: usize, from: &[u8]) -> Result<()>;

    /// What the caller's descriptor `fd` is open on.
    ///
    /// # Errors
    /// `EBADF` where nothing is; what the host says where it cannot be had.
    fn descriptor(&self, fd: c_int) -> Result<Descriptor>;
}

/// What a descriptor of the caller is open on.
pub enum Descriptor {
    /// A file of the host.
    Host(OwnedFd),
    /// A block device of this very node: never used through the host, which would ask this process for it.
    Device {
        /// Its number.
        devt: Devt,
        /// The flags of open(2).
        flags: c_int,
        /// The number of the file system that the caller finds its name in, as stat(2) tells it.
        found_in: u64,
    },
}

thread_local! {
    static CALLER: Cell<Option<NonNull<dyn Caller>>> = const { Cell::new(None) };
}

/// Runs `f`, a driver's function that serves a request of `caller`, on this thread.
pub fn with_caller<R>(caller: &dyn Caller, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<NonNull<dyn Caller>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLER.set(self.0);
        }
    }
    let caller: NonNull<dyn Caller + '_> = NonNull::from(caller);
    // SAFETY: only the lifetime is forgotten: `Restore` takes the pointer away before `caller` ends.
    let caller: NonNull<dyn Caller> = unsafe { std::mem::transmute(caller) };
    let _restore = Restore(CALLER.replace(Some(caller)));
    f()
}

/// The caller of the request that this thread serves, where it is another process.
pub(crate) fn current() -> Option<&'static dyn Caller> {
    // SAFETY: who put it there keeps it until the driver's function returns, and the result is used within that function.
    CALLER.get().map(|caller| unsafe { caller.as_ref() })
}
