// SPDX-License-Identifier: GPL-2.0-only
//! Requests to DRBD's netlink family, and their answers.
//!
//! Each message has the header of the family, a minor and a code, and after it attributes.

use std::sync::Arc;

use parking_lot::Mutex;
use umc::Kernel;
use umc::genetlink::{Overrun, Portal, Sink};
use umc::sched::Creds;

use super::Refused;
use super::wire::{Attrs, find, i32_at, kind_of, message};

/// The minor of a request that is about none.
pub const NO_MINOR: u32 = u32::MAX;
/// Where the attributes of a message begin.
const ATTRS: usize = 28;
const NLMSG_ERROR: u16 = 2;
const ID_CTRL: u16 = 16;
const NO_ERROR: i32 = 101;
/// State changes answer with numbers of their own; these mean success.
const SUCCESS: std::ops::RangeInclusive<i32> = 1..=4;

/// The family of a kernel.
#[derive(Clone)]
pub struct Family {
    kernel: &'static Kernel,
    id: u16,
    version: u8,
}

#[derive(Default)]
struct Inbox(Mutex<Vec<Vec<u8>>>);

impl Sink for Inbox {
    fn deliver(&self, message: &[u8]) -> Result<(), Overrun> {
        self.0.lock().push(message.to_vec());
        Ok(())
    }
}

fn exchange(kernel: &'static Kernel, request: &[u8]) -> Vec<Vec<u8>> {
    let inbox = Arc::new(Inbox::default());
    let creds = Creds { pid: 1, uid: 0, caps: u64::MAX };
    let portal = Portal::open(kernel, creds, inbox.clone());
    portal.receive(request);
    drop(portal);
    std::mem::take(&mut *inbox.0.lock())
}

impl Family {
    /// Looks the family up. The module is loaded.
    pub fn find(kernel: &'static Kernel) -> Result<Family, Refused> {
        const FAMILY_ID: u16 = 1;
        const FAMILY_NAME: u16 = 2;
        const VERSION: u16 = 3;
        let query = Attrs::default().text(FAMILY_NAME, "drbd");
        let replies = exchange(kernel, &message(ID_CTRL, 3, 2, false, &query.0));
        let reply = replies.first().ok_or(Refused(0))?;
        if kind_of(reply) == NLMSG_ERROR {
            return Err(Refused(i32_at(reply, 16).unwrap_or(0)));
        }
        let id = find(&reply[20..], FAMILY_ID).ok_or(Refused(0))?;
        let version = super::wire::u32_of(&reply[20..], VERSION).ok_or(Refused(0))?;
        Ok(Family { kernel, id: u16::from_ne_bytes([id[0], id[1]]), version: version as u8 })
    }

    fn request(&self, command: u8, dump: bool, minor: u32, attrs: Attrs) -> Vec<Vec<u8>> {
        let mut body = minor.to_ne_bytes().to_vec();
        body.extend_from_slice(&0_u32.to_ne_bytes());
        body.extend_from_slice(&attrs.0);
        exchange(self.kernel, &message(self.id, command, self.version, dump, &body))
    }

    /// Gives a command. Returns the attributes of its answer.
    pub fn send(&self, command: u8, minor: u32, attrs: Attrs) -> Result<Vec<u8>, Refused> {
        for reply in self.request(command, false, minor, attrs) {
            if kind_of(&reply) == NLMSG_ERROR {
                match i32_at(&reply, 16).unwrap_or(0) {
                    0 => continue,
                    errno => return Err(Refused(errno)),
                }
            }
            if kind_of(&reply) == self.id && reply.get(16) == Some(&command) {
                let code = i32_at(&reply, 24).unwrap_or(0);
                let is_fine = code == NO_ERROR || SUCCESS.contains(&code);
                return if is_fine { Ok(reply[ATTRS..].to_vec()) } else { Err(Refused(code)) };
            }
        }
        Err(Refused(0))
    }

    /// All objects of a kind: the attributes of each.
    pub fn dump(&self, command: u8) -> Result<Vec<Vec<u8>>, Refused> {
        let mut objects = Vec::new();
        for reply in self.request(command, true, NO_MINOR, Attrs::default()) {
            if kind_of(&reply) == NLMSG_ERROR {
                return Err(Refused(i32_at(&reply, 16).unwrap_or(0)));
            }
            if kind_of(&reply) == self.id {
                match i32_at(&reply, 24) {
                    Some(NO_ERROR) => objects.push(reply[ATTRS..].to_vec()),
                    code => return Err(Refused(code.unwrap_or(0))),
                }
            }
        }
        Ok(objects)
    }
}
