// SPDX-License-Identifier: GPL-2.0-only
//! Sockets that the caller of a request brings along, by descriptor.
//!
//! C header: `include/linux/net.h` (API of 6.12).
//! Guarantees kept: the descriptor is the caller's, who may close its own afterwards; `sockfd_put` ends the driver's use.
//! Differs from Linux: the caller is a process of the host. Of an ioctl it hands its descriptor over itself. That of a
//! netlink message is duplicated from there, for which the node must be allowed to trace it: the same user, as far as the
//! host lets it, or root; it is known by its number, so it has to wait for the answer, and to be visible in the node's
//! process namespace. In a simulation nobody has descriptors.
//! Used by DRBD for: nothing. nbd.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use super::{graft, new_socket, sock_file};
use crate::caller::{self, Descriptor};
use crate::errno::{Errno, Result};
use crate::printk::Level;
use crate::sock::Sock;
use crate::{Kernel, kprintln, sched, sys};

/// Calls the host, which answers with a descriptor.
fn descriptor(number: libc::c_long, args: [libc::c_long; 3]) -> Result<OwnedFd> {
    // SAFETY: both calls take plain numbers.
    let answer = unsafe { libc::syscall(number, args[0], args[1], args[2]) };
    if answer < 0 {
        let error = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::new(error.unwrap_or(libc::EIO)));
    }
    // SAFETY: a descriptor that was just made, and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as c_int) })
}

/// The caller's descriptor, as one of ours.
fn take(kernel: &'static Kernel, fd: c_int) -> Result<OwnedFd> {
    if let Some(caller) = caller::current() {
        return match caller.descriptor(fd)? {
            Descriptor::Host(fd) => Ok(fd),
            Descriptor::Device { .. } => Err(Errno::ENOTSOCK),
        };
    }
    let pid = sched::current_creds().pid;
    if kernel.ops.is_simulated != 0 {
        return Err(Errno::EBADF);
    }
    let taken = match pid {
        // What the host says of a process that cannot be seen from here.
        0 => Err(Errno::ESRCH),
        _ => descriptor(libc::SYS_pidfd_open, [pid.into(), 0, 0]).and_then(|process| {
            descriptor(libc::SYS_pidfd_getfd, [process.as_raw_fd().into(), fd.into(), 0])
        }),
    };
    taken.inspect_err(|error| {
        let next = match *error {
            Errno::EPERM => {
                "The node must be allowed to trace the process: run both as root, or see \
                 /proc/sys/kernel/yama/ptrace_scope."
            }
            Errno::ESRCH => "Run the program in the process namespace of the node, or above it.",
            _ => "",
        };
        kprintln!(
            kernel => Level::Err,
            "sockfd_lookup: descriptor {fd} of process {pid} cannot be had: {error}. {next}"
        );
    })
}

fn option(fd: &OwnedFd, name: c_int) -> Result<c_int> {
    let (mut value, mut len) = (0, size_of::<c_int>() as libc::socklen_t);
    // SAFETY: room for an int.
    let ret = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    if ret == 0 { Ok(value) } else { Err(Errno::ENOTSOCK) }
}

fn lookup(fd: c_int) -> Result<*mut sys::socket> {
    let kernel = Kernel::current();
    let fd = take(kernel, fd)?;
    let family = option(&fd, libc::SO_DOMAIN)?;
    let kind = option(&fd, libc::SO_TYPE)?;
    let protocol = option(&fd, libc::SO_PROTOCOL)?;
    let socket = new_socket(kind);
    let sock = Sock::new(kernel, fd.into_raw_fd(), family, kind, protocol);
    sock.note_shared();
    sock.set_state(sys::TCP_ESTABLISHED);
    // SAFETY: both were just made; the file owns the socket from here on.
    unsafe {
        graft(socket, Box::into_raw(sock));
        (*socket).state = sys::SS_CONNECTED;
        Sock::from_raw((*socket).sk).start_stream();
        sock_file::sock_alloc_file(socket, 0, std::ptr::null());
    }
    Ok(socket)
}

/// The socket behind a descriptor of the caller, whose file has a reference more. NULL with an error in `err`.
///
/// # Safety
/// `err` is valid.
/// # Context
/// May sleep; on behalf of a caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sockfd_lookup(fd: c_int, err: *mut c_int) -> *mut sys::socket {
    match lookup(fd) {
        Ok(socket) => socket,
        Err(error) => {
            // SAFETY: the caller's contract.
            unsafe { err.write(error.neg()) };
            std::ptr::null_mut()
        }
    }
}

/// `shutdown` of a socket whose kind has none.
///
/// # Safety
/// None: the socket is not looked at.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_no_shutdown(_sock: *mut sys::socket, _how: c_int) -> c_int {
    Errno::EOPNOTSUPP.neg()
}
