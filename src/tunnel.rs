// SPDX-License-Identifier: GPL-2.0-only
//! The tunnel: system calls on devices of the node, by programs under the redirector.
//!
//! A connection is an open character device ([`device`]), or brings one ioctl of a block device along. What is asked back
//! of the caller meanwhile, and how it interrupts the call, is in [`talk`] and [`cancel`]; `umc_protocol::tunnel` says what
//! the records are.

mod cancel;
mod device;
mod talk;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, fcntl};
use umc::sched::{Comm, Creds, with_comm, with_creds};
use umc::{Devt, Errno, signal};
use umc_protocol::OPEN_EXCLUSIVE;
use umc_protocol::tunnel::{Call, Open};

use crate::client::Client;
use crate::control;
use crate::node::Node;
use cancel::Cancel;
use talk::Talk;

/// "BL" in the inode number of a block device in the tree, its device number below.
const BLOCK_MARK: u64 = 0x424c << 48;

/// Receives a record with the descriptors that come with it; None at the end of the connection. Waits.
fn receive<'a>(client: &Client, buf: &'a mut [u8]) -> Option<(&'a [u8], Vec<OwnedFd>)> {
    let (len, fds) = loop {
        let bell = client.bell();
        match client.try_receive_with_all(buf) {
            Ok(([], _)) => return None,
            Ok((record, fds)) => break (record.len(), fds),
            Err(nix::Error::EAGAIN) => drop(client.wait(libc::POLLIN as u32, bell)),
            Err(nix::Error::EINTR) => {}
            Err(_) => return None,
        }
    };
    Some((&buf[..len], fds))
}

/// Serves one connection until it ends.
pub fn serve(node: &'static Node, client: &Arc<Client>, creds: Creds) {
    let mut buf = [0; 64];
    let Some((record, fds)) = receive(client, &mut buf) else { return };
    if let Some(open) = Open::from_bytes(record).filter(|open| open.kind == Open::KIND) {
        return device::serve(node, client, open, creds);
    }
    let (Some(call), Ok([talk, signals, file])) =
        (Call::from_bytes(record), <[OwnedFd; 3]>::try_from(fds))
    else {
        return;
    };
    if call.kind == Call::IOCTL {
        // The file is let go before the caller has the answer: his close is to be the last one, and the device's release.
        let work = move || of_block_device(node, file, call);
        perform(node, (talk, signals), 1, work, || 0);
    }
}

/// The device of the node that a file is, if it is one, and the number of the file system that it is found in.
fn device_of(node: &Node, file: &OwnedFd) -> Option<(Devt, u64)> {
    // What the host knows already: a file of the tree is not asked about, which would be another request to this node.
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    // SAFETY: all-zero is a value of it.
    let mut status: libc::statx = unsafe { std::mem::zeroed() };
    let (mask, fd) = (libc::STATX_TYPE | libc::STATX_INO, file.as_raw_fd());
    // SAFETY: an empty C string, and room for the answer.
    if unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, &raw mut status) } != 0 {
        return None;
    }
    let is_regular = u32::from(status.stx_mode) & libc::S_IFMT == libc::S_IFREG;
    let number = status.stx_ino.checked_sub(BLOCK_MARK).and_then(|it| u32::try_from(it).ok())?;
    let dev = libc::makedev(status.stx_dev_major, status.stx_dev_minor);
    (is_regular && node.is_in_tree(dev)).then(|| (Devt::from_raw(number), dev))
}

/// The flags of open(2) that a file has.
fn flags_of(file: &OwnedFd) -> i32 {
    fcntl(file.as_fd(), FcntlArg::F_GETFL).unwrap_or(libc::O_RDONLY)
}

fn of_block_device(node: &Node, file: OwnedFd, call: Call) -> i64 {
    let Some((devt, _)) = device_of(node, &file) else {
        return Errno::ENOTTY.neg().into();
    };
    let flags = flags_of(&file);
    let open = (flags, flags & OPEN_EXCLUSIVE != 0);
    umc::block::ioctl::ioctl(node.kernel, devt, open, call.cmd, call.arg)
}

/// Does what a call is for, for the process at the other end of the talk, and tells it the result with what `after` has to
/// add. The call itself keeps `own` block devices open. Returns when the caller knows, or is gone.
fn perform(
    node: &'static Node,
    (talk, signals): (OwnedFd, OwnedFd),
    own: usize,
    work: impl FnOnce() -> i64,
    after: impl FnOnce() -> u32,
) {
    let talk = Talk::new(node, Client::new(talk));
    let Some(creds) = control::admit(talk.client()) else {
        return talk.tell(Errno::EACCES.neg().into(), after());
    };
    let pid = u32::try_from(creds.pid).ok().filter(|pid| *pid != 0);
    // A device that a tool closed before this call is released before the driver looks.
    if !node.settle_others(own) {
        tracing::warn!("a release of a device takes long; going on without it");
    }
    let result = with_comm(pid.and_then(Comm::of_process), || {
        with_creds(creds, || {
            signal::interruptible(|interrupter| {
                let _cancel = Cancel::watch(signals, interrupter);
                umc::caller::with_caller(&talk, work)
            })
        })
    });
    talk.tell(result, after());
}
