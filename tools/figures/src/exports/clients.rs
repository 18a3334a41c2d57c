// SPDX-License-Identifier: GPL-2.0-only
//! One connection of a host to a target, with as many requests under way as the load says.

use std::io::Result;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cluster::Random;
use iscsi::{Command as ScsiCommand, Initiator, Session};
use nvme::{Command as NvmeCommand, Controller, Host};

use super::Load;

const TIME: Duration = Duration::from_secs(2);

/// What one connection does.
trait Queue {
    fn depth(&self) -> usize;
    /// Sends a request for blocks, `len` bytes; `data` is written, when this is a write.
    fn submit(&mut self, at: u64, blocks: u32, len: usize, data: Option<&[u8]>) -> Result<()>;
    /// Waits for the end of one that succeeds.
    fn complete(&mut self) -> Result<()>;
}

/// Requests a second.
fn rate(queue: &mut impl Queue, (blocks, block): (u64, usize), load: Load) -> f64 {
    let count = (load.len / block) as u32;
    let places = blocks / u64::from(count);
    let mut random = Random::new("exports");
    let data = vec![0x5a; load.len];
    let data = load.writes.then_some(data.as_slice());
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < TIME || queue.depth() > 0 {
        while queue.depth() < load.depth && start.elapsed() < TIME {
            let at = random.below(places) * u64::from(count);
            queue.submit(at, count, load.len, data).expect("a command is sent");
        }
        queue.complete().expect("a command succeeds");
        done += 1;
    }
    f64::from(done) / start.elapsed().as_secs_f64()
}

struct NvmeQueue(nvme::Queue);

impl Queue for NvmeQueue {
    fn depth(&self) -> usize {
        self.0.depth()
    }

    fn submit(&mut self, at: u64, blocks: u32, len: usize, data: Option<&[u8]>) -> Result<()> {
        let command = match data {
            Some(data) => NvmeCommand::write(1, at, blocks, data.to_vec()),
            None => NvmeCommand::read(1, at, blocks, len),
        };
        self.0.submit(command).map(drop)
    }

    fn complete(&mut self) -> Result<()> {
        self.0.complete().and_then(nvme::Completion::ok).map(drop)
    }
}

/// Of a namespace.
pub fn nvme_rate(address: SocketAddr, subsystem: &str, load: Load) -> f64 {
    let controller = Controller::connect(address, subsystem, Host::default());
    let mut controller = controller.expect("it connects");
    let size = controller.size(1).expect("a namespace");
    let queue = controller.io_queue(load.depth as u16 + 1).expect("a queue");
    rate(&mut NvmeQueue(queue), size, load)
}

struct ScsiQueue(Session, u8);

impl Queue for ScsiQueue {
    fn depth(&self) -> usize {
        self.0.depth()
    }

    fn submit(&mut self, at: u64, blocks: u32, len: usize, data: Option<&[u8]>) -> Result<()> {
        let command = match data {
            Some(data) => ScsiCommand::write(self.1, at, blocks, data.to_vec()),
            None => ScsiCommand::read(self.1, at, blocks, len),
        };
        self.0.submit(command).map(drop)
    }

    fn complete(&mut self) -> Result<()> {
        self.0.complete().and_then(iscsi::Answer::ok).map(drop)
    }
}

/// Of a unit.
pub fn iscsi_rate(address: SocketAddr, target: &str, lun: u8, load: Load) -> f64 {
    let session = Session::open(address, Some(target), &Initiator::default());
    let mut session = session.expect("it logs in");
    let size = session.size(lun).expect("a unit");
    rate(&mut ScsiQueue(session, lun), size, load)
}
