// SPDX-License-Identifier: GPL-2.0-only
//! A namespace of an NVMe target under a load, and what it has to hold.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;

use nvme::{Command, Controller, Host, Queue};

use crate::{Random, assert_same};

/// What is under way: its blocks, and what has to be read.
type Busy = HashMap<u16, (Range<usize>, Option<Vec<u8>>)>;

/// A namespace through one of its queues, and what it has to hold.
pub struct Namespaced {
    /// The queue, for commands of the test's own.
    pub queue: Queue,
    /// Where this is its only user.
    controller: Option<Controller>,
    nsid: u32,
    block: usize,
    content: Vec<u8>,
}

impl Namespaced {
    /// Connects to a subsystem, and opens its first namespace.
    pub fn connect(address: SocketAddr, subsystem: &str, host: Host) -> Namespaced {
        let mut controller = Controller::connect(address, subsystem, host).expect("it connects");
        let mut opened = Namespaced::open(&mut controller, 1);
        opened.controller = Some(controller);
        opened
    }

    /// Opens a namespace; what it holds now is what it has to hold.
    pub fn open(controller: &mut Controller, nsid: u32) -> Namespaced {
        let (blocks, block) = controller.size(nsid).unwrap();
        let queue = controller.io_queue(64).unwrap();
        let content = vec![0; blocks as usize * block];
        let mut model = Namespaced { queue, controller: None, nsid, block, content };
        model.content = model.read_all();
        model
    }

    /// All of it, 128 KiB at a time.
    fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.content.len());
        while all.len() < self.content.len() {
            let len = (128 << 10).min(self.content.len() - all.len());
            let (at, blocks) = ((all.len() / self.block) as u64, (len / self.block) as u32);
            let read = self.queue.run(Command::read(self.nsid, at, blocks, len)).unwrap();
            all.extend(read.ok().unwrap().data);
        }
        all
    }

    /// Writes, zeroes and reads of random places, several under way at once as long as they do not meet.
    pub fn play(&mut self, random: &mut Random, count: usize, depth: usize) {
        let mut busy = Busy::new();
        for _ in 0..count {
            while busy.len() >= depth {
                self.settle(&mut busy);
            }
            let blocks = self.content.len() / self.block;
            let longest = 1 << random.below(8);
            let len = (1 + random.below(longest) as usize).min(blocks);
            let start = random.below((blocks - len + 1) as u64) as usize;
            let range = start..start + len;
            while busy.values().any(|(other, _)| other.start < range.end && range.start < other.end)
            {
                self.settle(&mut busy);
            }
            let bytes = start * self.block..(start + len) * self.block;
            let (at, number) = (start as u64, len as u32);
            let (command, wanted) = match random.below(8) {
                0 => {
                    self.content[bytes].fill(0);
                    (Command::write_zeroes(self.nsid, at, number), None)
                }
                1..5 => {
                    random.fill(&mut self.content[bytes.clone()]);
                    let data = self.content[bytes].to_vec();
                    (Command::write(self.nsid, at, number, data), None)
                }
                _ => {
                    let wanted = self.content[bytes.clone()].to_vec();
                    (Command::read(self.nsid, at, number, wanted.len()), Some(wanted))
                }
            };
            let id = self.queue.submit(command).unwrap();
            busy.insert(id, (range, wanted));
        }
        while !busy.is_empty() {
            self.settle(&mut busy);
        }
        self.queue.run(Command::flush(self.nsid)).unwrap().ok().unwrap();
    }

    fn settle(&mut self, busy: &mut Busy) {
        let done = self.queue.complete().unwrap().ok().unwrap();
        let (range, wanted) = busy.remove(&done.id).expect("it was under way");
        if let Some(wanted) = wanted {
            assert_same(&done.data, &wanted, &format!("blocks {range:?}"));
        }
    }

    /// Compares what it holds with what it has to hold.
    pub fn check(&mut self) {
        let found = self.read_all();
        assert_same(&found, &self.content, "the namespace");
    }

    /// What it has to hold.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The bytes of a block.
    pub fn block(&self) -> usize {
        self.block
    }
}
