// SPDX-License-Identifier: GPL-2.0-only
//! What the node asks of a caller during its call.

use std::cell::RefCell;
use std::ffi::c_int;
use std::os::fd::OwnedFd;

use umc::caller::{Caller, Descriptor};
use umc::{Errno, Result};
use umc_protocol::tunnel::{Ask, PIECE_MAX, Reply};

use super::{device_of, flags_of};
use crate::client::Client;
use crate::node::Node;

/// A talk with a caller, one question at a time.
pub struct Talk {
    node: &'static Node,
    client: Client,
    /// Room for records.
    room: RefCell<Vec<u8>>,
}

impl Talk {
    pub fn new(node: &'static Node, client: Client) -> Talk {
        Talk { node, client, room: RefCell::default() }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Ends the call.
    pub fn tell(&self, result: i64, number: u32) {
        let ask = Ask { kind: Ask::RESULT, number, value: result.cast_unsigned(), len: 0 };
        // A caller that is gone needs no result.
        let _ = self.client.send(&ask.to_bytes());
    }

    /// Asks, with `data` behind the question, and hands on what comes behind the reply. A caller that is gone has no memory
    /// and no descriptors.
    fn ask<R>(
        &self,
        ask: Ask,
        data: &[u8],
        gone: Errno,
        take: impl FnOnce(&[u8], Vec<OwnedFd>) -> Result<R>,
    ) -> Result<R> {
        let mut room = self.room.borrow_mut();
        room.clear();
        room.extend_from_slice(&ask.to_bytes());
        room.extend_from_slice(data);
        self.client.try_send(&room).map_err(|_| gone)?;
        room.resize(Reply::LEN + PIECE_MAX, 0);
        let (len, fds) = loop {
            match self.client.try_receive_with_all(&mut room) {
                Ok(([], _)) => return Err(gone),
                Ok((record, fds)) => break (record.len(), fds),
                Err(nix::Error::EAGAIN) => self.client.sleep(libc::POLLIN as u32),
                Err(nix::Error::EINTR) => {}
                Err(_) => return Err(gone),
            }
        };
        let record = &room[..len];
        let reply = Reply::from_bytes(record).ok_or(gone)?;
        match reply.error {
            0 => take(&record[Reply::LEN..], fds),
            error => Err(Errno::new(error)),
        }
    }
}

impl Caller for Talk {
    fn read(&self, addr: usize, to: &mut [u8]) -> Result<()> {
        for (index, piece) in to.chunks_mut(PIECE_MAX).enumerate() {
            let at = addr.checked_add(index * PIECE_MAX).ok_or(Errno::EFAULT)?;
            let (value, len) = (at as u64, piece.len() as u64);
            let ask = Ask { kind: Ask::FETCH, number: 0, value, len };
            self.ask(ask, &[], Errno::EFAULT, |data, _| {
                if data.len() != piece.len() {
                    return Err(Errno::EFAULT);
                }
                piece.copy_from_slice(data);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn write(&self, addr: usize, from: &[u8]) -> Result<()> {
        for (index, piece) in from.chunks(PIECE_MAX).enumerate() {
            let at = addr.checked_add(index * PIECE_MAX).ok_or(Errno::EFAULT)?;
            let (value, len) = (at as u64, piece.len() as u64);
            let ask = Ask { kind: Ask::STORE, number: 0, value, len };
            self.ask(ask, piece, Errno::EFAULT, |_, _| Ok(()))?;
        }
        Ok(())
    }

    fn descriptor(&self, fd: c_int) -> Result<Descriptor> {
        let ask = Ask { kind: Ask::DESCRIPTOR, number: fd.cast_unsigned(), value: 0, len: 0 };
        let fd = self.ask(ask, &[], Errno::EBADF, |_, mut fds| fds.pop().ok_or(Errno::EBADF))?;
        Ok(match device_of(self.node, &fd) {
            Some((devt, found_in)) => Descriptor::Device { devt, flags: flags_of(&fd), found_in },
            None => Descriptor::Host(fd),
        })
    }
}
