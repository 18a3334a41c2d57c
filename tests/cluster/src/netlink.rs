// SPDX-License-Identifier: GPL-2.0-only
//! A netlink client that is no stock tool: it says to a node what it likes, as fast as it likes.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use umc_protocol::RECORD_MAX;

use crate::Cluster;

/// Bytes of `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// Bytes up to the attributes: `struct genlmsghdr` and `struct drbd_genlmsghdr` are behind the first header.
pub const DRBD_HEADER: usize = HEADER + 4 + 8;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLM_F_DUMP: u16 = 0x300;

/// NLM_F_REQUEST | NLM_F_ACK.
const ASK: u16 = 5;
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// A connection to the netlink service of a node.
pub struct Netlink {
    socket: OwnedFd,
    buf: Vec<u8>,
}

/// The last message of an answer, and those before it.
pub struct Answer {
    pub kind: u16,
    /// Of an NLMSG_ERROR or NLMSG_DONE.
    pub error: i32,
    pub earlier: Vec<Vec<u8>>,
}

impl Netlink {
    pub fn open(cluster: &Cluster, node: &str) -> Netlink {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        let control = cluster.root(node).with_file_name("control");
        umc_protocol::address::connect_to(&socket, &control).unwrap();
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(10, 0)).unwrap();
        setsockopt(&socket, sockopt::SndBufForce, &(4 * RECORD_MAX)).unwrap();
        let link = Netlink { socket, buf: vec![0; 1 << 20] };
        link.send(&umc_protocol::HELLO_GENL);
        link
    }

    /// Says something, and waits for no answer.
    pub fn send(&self, record: &[u8]) {
        let parts = [IoSlice::new(record)];
        let sent = sendmsg::<()>(self.socket.as_raw_fd(), &parts, &[], MsgFlags::empty(), None);
        assert_eq!(sent, Ok(record.len()), "the node ended the connection");
    }

    /// What the record is answered with, up to its last message. Panics when there is no answer, or one to another.
    pub fn ask(&mut self, record: &[u8]) -> Answer {
        self.send(record);
        let mut head = [0; HEADER];
        let len = record.len().min(HEADER);
        head[..len].copy_from_slice(&record[..len]);
        let mut earlier = Vec::new();
        loop {
            let len = recv(self.socket.as_raw_fd(), &mut self.buf, MsgFlags::empty())
                .unwrap_or_else(|error| panic!("no answer ({error}) to {}", hex(record)));
            assert!(len > 0, "the node ended the connection after {}", hex(record));
            let mut rest = &self.buf[..len];
            while !rest.is_empty() {
                let len = number(rest, 0) as usize;
                assert!((HEADER..=rest.len()).contains(&len), "an answer that is no message");
                assert_eq!(
                    rest[8..12],
                    head[8..12],
                    "an answer to something else: {}",
                    hex(record)
                );
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                if kind == NLMSG_ERROR || kind == NLMSG_DONE {
                    let error = number(rest, HEADER) as i32;
                    return Answer { kind, error, earlier };
                }
                earlier.push(rest[..len].to_vec());
                rest = &rest[len.next_multiple_of(4).min(rest.len())..];
            }
        }
    }

    /// The number of a family.
    pub fn family(&mut self, name: &str) -> u16 {
        let mut record = vec![0; HEADER];
        record[4..6].copy_from_slice(&GENL_ID_CTRL.to_ne_bytes());
        record.extend([CTRL_CMD_GETFAMILY, 1, 0, 0]);
        record.extend(attribute(CTRL_ATTR_FAMILY_NAME, format!("{name}\0").as_bytes()));
        seal(&mut record, 1);
        let answer = self.ask(&record);
        assert_eq!((answer.kind, answer.error), (NLMSG_ERROR, 0), "no family {name}");
        let mut rest = &answer.earlier[0][HEADER + 4..];
        while u16::from_ne_bytes([rest[2], rest[3]]) != CTRL_ATTR_FAMILY_ID {
            let len = u16::from_ne_bytes([rest[0], rest[1]]);
            rest = &rest[usize::from(len).next_multiple_of(4)..];
        }
        u16::from_ne_bytes([rest[4], rest[5]])
    }
}

/// A command of DRBD for a minor, without attributes yet, and not sealed.
pub fn drbd_command(family: u16, command: u8, minor: u32) -> Vec<u8> {
    let mut record = vec![0; DRBD_HEADER];
    record[4..6].copy_from_slice(&family.to_ne_bytes());
    record[HEADER] = command;
    record[HEADER + 1] = 1;
    record[HEADER + 4..HEADER + 8].copy_from_slice(&minor.to_ne_bytes());
    record
}

/// Four bytes of a message.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Bytes, as a message of a failure shows them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(256).map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute, padded.
pub fn attribute(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u16 + 4).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Writes the length into the header, and what makes every record one that is answered.
pub fn seal(record: &mut [u8], seq: u32) {
    let len = record.len() as u32;
    record[..4].copy_from_slice(&len.to_ne_bytes());
    let flags = u16::from_ne_bytes([record[6], record[7]]) & NLM_F_DUMP | ASK;
    record[6..8].copy_from_slice(&flags.to_ne_bytes());
    record[8..12].copy_from_slice(&seq.to_ne_bytes());
}
