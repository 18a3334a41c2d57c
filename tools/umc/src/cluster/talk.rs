// SPDX-License-Identifier: GPL-2.0-only
//! What commands ask a cluster's keeper, and how: records of JSON over a socket, one request at a time.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use super::place::Place;
use super::quality::Quality;

/// The longest record.
const RECORD_MAX: usize = 64 << 10;
/// An answer takes no longer.
const PATIENCE_S: i64 = 60;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Ask {
    /// From now on the cluster outlives this connection, if it was the one that it depends on.
    Keep,
    /// How good a link is to be.
    Link {
        /// Its nodes, the lower place first.
        between: (usize, usize),
        /// What is to happen to frames.
        quality: Quality,
    },
    /// End, and whether the disks stay.
    Down {
        /// They do.
        keep: bool,
    },
    /// Nothing: how links are.
    Links,
}

/// An answer: the links that are not whole, or why it was not done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Done {
        /// Links that are not whole.
        links: Vec<((usize, usize), Quality)>,
    },
    /// Not done, and why.
    Failed(String),
}

/// A connection.
pub struct Talk(OwnedFd);

impl Talk {
    /// To the keeper of a cluster.
    ///
    /// # Errors
    /// It is not up, or another user's.
    pub fn to(place: &Place) -> Result<Talk> {
        place.record()?;
        let cannot = || format!("Cannot reach the keeper of cluster {}", place.name);
        let fd = new_socket().with_context(cannot)?;
        umc_protocol::address::connect_to(&fd, &place.socket()).with_context(cannot)?;
        Talk::over(fd)
    }

    /// Over a socket that is connected.
    ///
    /// # Errors
    /// The host's.
    pub fn over(fd: OwnedFd) -> Result<Talk> {
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))
            .context("Cannot limit the wait for the keeper")?;
        Ok(Talk(fd))
    }

    /// Asks, and waits for the answer: the links that are not whole.
    ///
    /// # Errors
    /// It was not done.
    pub fn ask(&self, what: &Ask) -> Result<Vec<((usize, usize), Quality)>> {
        let text = serde_json::to_vec(what).context("the request as JSON")?;
        put(self.0.as_raw_fd(), &text).context("Cannot ask the keeper of the cluster")?;
        self.answer()
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// It is no; or there is none.
    pub fn answer(&self) -> Result<Vec<((usize, usize), Quality)>> {
        match get(self.0.as_raw_fd()).context("The keeper of the cluster does not answer")? {
            None => bail!("The keeper of the cluster is gone, and the cluster with it"),
            Some(text) => match serde_json::from_slice(&text)? {
                Answer::Done { links } => Ok(links),
                Answer::Failed(why) => bail!(why),
            },
        }
    }
}

/// A socket of the kind that the keeper listens on.
///
/// # Errors
/// The host's.
pub fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?)
}

/// Standard input of the keeper: the connection that its cluster depends on.
pub fn standard_input() -> OwnedFd {
    // SAFETY: descriptor 0 is this process's, and nobody else here uses it.
    unsafe { OwnedFd::from_raw_fd(0) }
}

/// The next record; nothing at the end.
///
/// # Errors
/// The host's, or too long a wait.
pub fn get(fd: RawFd) -> io::Result<Option<Vec<u8>>> {
    let mut record = vec![0; RECORD_MAX];
    loop {
        match recv(fd, &mut record, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            Ok(0) | Err(Errno::ECONNRESET) => return Ok(None),
            Ok(len) => {
                record.truncate(len);
                return Ok(Some(record));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends a record.
///
/// # Errors
/// The host's.
pub fn put(fd: RawFd, record: &[u8]) -> io::Result<()> {
    loop {
        match send(fd, record, MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop).map_err(Into::into),
        }
    }
}
