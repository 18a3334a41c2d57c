// SPDX-License-Identifier: GPL-2.0-only
//! A controller of a subsystem: its admin queue, and queues for I/O.

use std::io::{Error, Result};
use std::net::SocketAddr;

use crate::command::{Command, IDENTIFY_CONTROLLER, IDENTIFY_NAMESPACE, IDENTIFY_NAMESPACES};
use crate::pdu::Digests;
use crate::queue::{Queue, number};

/// The subsystem that tells of the others.
pub const DISCOVERY: &str = "nqn.2014-08.org.nvmexpress.discovery";

/// Commands of an admin queue at once.
const ADMIN_DEPTH: u16 = 32;
/// Properties: capabilities, configuration, status.
const CAP: u32 = 0x00;
const CC: u32 = 0x14;
const CSTS: u32 = 0x1c;
/// Enabled, with entries of 64 and 16 bytes.
const ENABLE: u32 = 4 << 20 | 6 << 16 | 1;
const READY: u64 = 1;
/// A controller that the target chooses.
const ANY_CONTROLLER: u16 = 0xffff;

/// Who connects.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub nqn: String,
    /// Its identifier.
    pub id: [u8; 16],
    /// The checksums it wants.
    pub digests: Digests,
    /// How long the controller waits for a sign of life; 0 for ever.
    pub keep_alive_ms: u32,
}

impl Default for Host {
    fn default() -> Host {
        Host {
            nqn: "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-000000000001".to_owned(),
            id: [1; 16],
            digests: Digests::default(),
            keep_alive_ms: 0,
        }
    }
}

/// A connection to a subsystem.
pub struct Controller {
    address: SocketAddr,
    subsystem: String,
    host: Host,
    /// The queue for commands about the controller.
    pub admin: Queue,
    /// Its number at the target.
    pub id: u16,
    /// Bytes that a write of an I/O queue may bring along.
    in_capsule: usize,
    /// How many I/O queues are open.
    queues: u16,
}

impl Controller {
    /// Connects to a subsystem and enables the controller.
    ///
    /// # Errors
    /// Those of the connection, and what the target refuses.
    pub fn connect(address: SocketAddr, subsystem: &str, host: Host) -> Result<Controller> {
        let mut admin = Queue::open(address, host.digests)?;
        let data = connect_data(&host, subsystem, ANY_CONTROLLER);
        let connect = Command::connect(0, ADMIN_DEPTH, host.keep_alive_ms, data);
        let id = admin.run(connect)?.ok()?.result as u16;
        admin.run(Command::property_get(CAP, true))?.ok()?;
        admin.run(Command::property_set(CC, ENABLE))?.ok()?;
        if admin.run(Command::property_get(CSTS, false))?.ok()?.result & READY == 0 {
            return Err(Error::other("the controller is not ready"));
        }
        let subsystem = subsystem.to_owned();
        let mut made = Controller { address, subsystem, host, admin, id, in_capsule: 0, queues: 0 };
        let about = made.identify(IDENTIFY_CONTROLLER, 0)?;
        // In units of 16 bytes, with the command itself.
        made.in_capsule = (number(&about, 1792) as usize * 16).saturating_sub(64);
        Ok(made)
    }

    /// What the controller says of itself, or of a namespace.
    ///
    /// # Errors
    /// As [`Queue::run`], and what the target refuses.
    pub fn identify(&mut self, kind: u32, nsid: u32) -> Result<Vec<u8>> {
        Ok(self.admin.run(Command::identify(kind, nsid))?.ok()?.data)
    }

    /// The numbers of its namespaces.
    ///
    /// # Errors
    /// As [`Controller::identify`].
    pub fn namespaces(&mut self) -> Result<Vec<u32>> {
        let list = self.identify(IDENTIFY_NAMESPACES, 0)?;
        let numbers = list.chunks_exact(4).map(|chunk| number(chunk, 0));
        Ok(numbers.take_while(|nsid| *nsid != 0).collect())
    }

    /// The blocks of a namespace, and the bytes of a block.
    ///
    /// # Errors
    /// As [`Controller::identify`].
    pub fn size(&mut self, nsid: u32) -> Result<(u64, usize)> {
        let about = self.identify(IDENTIFY_NAMESPACE, nsid)?;
        let blocks = u64::from(number(&about, 4)) << 32 | u64::from(number(&about, 0));
        let format = usize::from(about[26] & 0xf);
        Ok((blocks, 1 << about[128 + 4 * format + 2]))
    }

    /// Opens a queue for I/O.
    ///
    /// # Errors
    /// As [`Controller::connect`].
    pub fn io_queue(&mut self, depth: u16) -> Result<Queue> {
        if self.queues == 0 {
            self.admin.run(Command::set_queue_count(8))?.ok()?;
        }
        let mut queue = Queue::open(self.address, self.host.digests)?;
        self.queues += 1;
        let data = connect_data(&self.host, &self.subsystem, self.id);
        queue.run(Command::connect(self.queues, depth, 0, data))?.ok()?;
        queue.in_capsule = self.in_capsule;
        Ok(queue)
    }
}

/// What a connect tells of both sides.
fn connect_data(host: &Host, subsystem: &str, controller: u16) -> Vec<u8> {
    let mut data = vec![0; 1024];
    data[..16].copy_from_slice(&host.id);
    data[16..18].copy_from_slice(&controller.to_le_bytes());
    data[256..256 + subsystem.len()].copy_from_slice(subsystem.as_bytes());
    data[512..512 + host.nqn.len()].copy_from_slice(host.nqn.as_bytes());
    data
}
