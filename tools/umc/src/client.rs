// SPDX-License-Identifier: GPL-2.0-only
//! A connection to a node's control socket.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use serde::de::DeserializeOwned;
use umc_protocol::control::{Reply, Request};
use umc_protocol::node::NodeRecord;
use umc_protocol::{HELLO_CONTROL, RECORD_MAX};

/// The node's own answer was no.
#[derive(Debug)]
pub struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Asks one node.
pub struct Client {
    fd: OwnedFd,
    node: String,
}

impl Client {
    /// Connect to the node of this record.
    pub fn connect(record: &NodeRecord) -> Result<Client> {
        let node = record.name.clone();
        let fd = open(record).with_context(|| {
            format!(
                "Cannot reach node {node} (process {}) at {}",
                record.pid,
                record.control.display()
            )
        })?;
        let client = Client { fd, node };
        client.send(&HELLO_CONTROL)?;
        Ok(client)
    }

    /// Give up on a reply after so many seconds.
    pub fn with_patience(self, seconds: i64) -> Result<Client> {
        let time = TimeVal::new(seconds, 0);
        setsockopt(&self.fd, sockopt::ReceiveTimeout, &time)
            .with_context(|| format!("Cannot limit the wait for node {}", self.node))?;
        Ok(self)
    }

    /// Send a request and take its reply. The node's own [`Refusal`] is the error as it words it.
    pub fn request<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        self.start(request)?;
        self.reply()
    }

    /// Send a request whose replies are taken by [`Client::reply`].
    pub fn start(&self, request: &Request) -> Result<()> {
        self.send(&serde_json::to_vec(request).context("Cannot write the request as JSON")?)
    }

    /// The next reply.
    pub fn reply<T: DeserializeOwned>(&self) -> Result<T> {
        let mut record = vec![0; RECORD_MAX];
        let len = loop {
            match recv(self.fd.as_raw_fd(), &mut record, MsgFlags::empty()) {
                Err(nix::Error::EINTR) => {}
                Err(nix::Error::EAGAIN) => bail!("Node {} does not answer.", self.node),
                Ok(0) | Err(nix::Error::ECONNRESET) => {
                    bail!("Node {} ended the connection: it is going down, or died.", self.node)
                }
                other => break other.with_context(|| self.broken("receive from"))?,
            }
        };
        match serde_json::from_slice(&record[..len]).with_context(|| {
            format!("Node {} gave an answer that this umc does not know", self.node)
        })? {
            Reply::Ok(value) => Ok(value),
            Reply::Error(text) => Err(Refusal(text).into()),
        }
    }

    fn send(&self, record: &[u8]) -> Result<()> {
        loop {
            match send(self.fd.as_raw_fd(), record, MsgFlags::MSG_NOSIGNAL) {
                Err(nix::Error::EINTR) => {}
                other => return other.map(drop).with_context(|| self.broken("send to")),
            }
        }
    }

    fn broken(&self, operation: &str) -> String {
        format!("Cannot {operation} node {}", self.node)
    }
}

fn open(record: &NodeRecord) -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    umc_protocol::address::connect_to(&fd, &record.control)?;
    Ok(fd)
}
