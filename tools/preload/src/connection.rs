// SPDX-License-Identifier: GPL-2.0-only
//! A connection to the node's control socket. By system calls alone: no hook, and no cancellation of the thread, is met on
//! the way.

use core::ffi::{CStr, c_int};
use core::mem::size_of;

use crate::bytes::{decimal, join};
use crate::raw;
use crate::root::Root;
use libc::{AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, sockaddr_un};

/// A descriptor that is closed when nobody keeps it.
pub struct Owned(c_int);

impl Owned {
    pub fn new(fd: c_int) -> Owned {
        Owned(fd)
    }

    pub fn fd(&self) -> c_int {
        self.0
    }

    /// It is the caller's to close.
    pub fn keep(self) -> c_int {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        raw::close(self.0);
    }
}

/// A connection whose first record is `hello`, close-on-exec. It blocks: a full backlog is waited for.
pub fn open(root: &Root, hello: &[u8]) -> Result<Owned, c_int> {
    let connected = match connected(root.control()?) {
        Err(libc::ENOENT | libc::ENOTDIR | libc::ECONNREFUSED) => {
            root.forget_control();
            connected(root.control()?)?
        }
        other => other?,
    };
    raw::send(connected.fd(), hello)?;
    Ok(connected)
}

fn connected(path: &CStr) -> Result<Owned, c_int> {
    let fd = raw::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0).map(Owned::new)?;
    if path.to_bytes_with_nul().len() <= 108 {
        connect(fd.fd(), path.to_bytes())?;
        return Ok(fd);
    }
    // sun_path has 108 bytes: go through a descriptor of the socket's inode.
    let inode = raw::open(path, libc::O_PATH).map(Owned::new)?;
    let (mut short, mut digits) = ([0; 32], [0; 10]);
    let digits = decimal(inode.fd() as u32, &mut digits);
    let short = join(b"/proc/self/fd/", &[digits], &mut short).ok_or(libc::ENAMETOOLONG)?;
    connect(fd.fd(), short.to_bytes())?;
    Ok(fd)
}

fn connect(fd: c_int, path: &[u8]) -> Result<(), c_int> {
    let mut name = sockaddr_un { sun_family: AF_UNIX as u16, sun_path: [0; 108] };
    for (to, &from) in name.sun_path.iter_mut().zip(path) {
        *to = from as _;
    }
    loop {
        match raw::connect(fd, &name, size_of::<sockaddr_un>()) {
            Err(libc::EINTR) => {}
            other => return other,
        }
    }
}
