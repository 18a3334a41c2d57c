// SPDX-License-Identifier: GPL-2.0-only
//! A disk at the other end of a protocol, under a load, and what it has to hold.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;

use crate::{Random, assert_same};

/// The bytes of one request at the most, where all of it is read.
const STEP: usize = 128 << 10;

/// A client of such a disk. Requests are begun, several at once, and end in any order; one that fails fails the test.
pub trait Remote {
    /// Whether it has a command that writes any one block many times; else it can only zero blocks.
    const FILLS_WITH_ANYTHING: bool;

    /// Begins to read blocks, `len` bytes together: the number of the request.
    fn read(&mut self, at: u64, blocks: u32, len: usize) -> u32;
    /// Begins to write blocks.
    fn write(&mut self, at: u64, blocks: u32, data: Vec<u8>) -> u32;
    /// Begins to write one block many times.
    fn fill(&mut self, at: u64, blocks: u32, block: Vec<u8>) -> u32;
    /// Waits for the end of any request: its number, and what was read.
    fn complete(&mut self) -> (u32, Vec<u8>);
    /// Brings what was written to the medium. Nothing else is under way.
    fn flush(&mut self);
}

/// What is under way: its blocks, and what has to be read.
type Busy = HashMap<u32, (Range<usize>, Option<Vec<u8>>)>;

/// A disk, and what it has to hold.
pub struct RemoteModel<R> {
    /// The client, for requests of the test's own.
    pub remote: R,
    /// What it has to hold.
    pub content: Vec<u8>,
    block: usize,
}

impl<R: Remote> RemoteModel<R> {
    /// A disk of so many blocks of so many bytes; what it holds now is what it has to hold.
    pub fn new(remote: R, (blocks, block): (u64, usize)) -> RemoteModel<R> {
        let content = vec![0; blocks as usize * block];
        let mut model = RemoteModel { remote, content, block };
        model.content = model.read_all();
        model
    }

    /// The bytes of a block.
    pub fn block(&self) -> usize {
        self.block
    }

    fn read_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.content.len());
        while all.len() < self.content.len() {
            let len = STEP.min(self.content.len() - all.len());
            let (at, blocks) = ((all.len() / self.block) as u64, (len / self.block) as u32);
            self.remote.read(at, blocks, len);
            all.extend(self.remote.complete().1);
        }
        all
    }

    /// Writes, fills and reads of random places, several under way at once as long as they do not meet; then a flush.
    pub fn play(&mut self, random: &mut Random, count: usize, depth: usize) {
        let mut busy = Busy::new();
        for _ in 0..count {
            while busy.len() >= depth {
                self.settle(&mut busy);
            }
            let blocks = self.content.len() / self.block;
            let longest = 1 << random.below(10);
            let len = (1 + random.below(longest) as usize).min(blocks);
            let start = random.below((blocks - len + 1) as u64) as usize;
            let range = start..start + len;
            let meets = |other: &Range<usize>| other.start < range.end && range.start < other.end;
            while busy.values().any(|(other, _)| meets(other)) {
                self.settle(&mut busy);
            }
            let bytes = start * self.block..(start + len) * self.block;
            let (at, number) = (start as u64, len as u32);
            let (id, wanted) = match random.below(8) {
                0 => {
                    let mut one = vec![0; self.block];
                    if R::FILLS_WITH_ANYTHING {
                        random.fill(&mut one);
                    }
                    let blocks = self.content[bytes].chunks_mut(one.len());
                    blocks.for_each(|block| block.copy_from_slice(&one));
                    (self.remote.fill(at, number, one), None)
                }
                1..5 => {
                    random.fill(&mut self.content[bytes.clone()]);
                    (self.remote.write(at, number, self.content[bytes].to_vec()), None)
                }
                _ => {
                    let wanted = self.content[bytes].to_vec();
                    (self.remote.read(at, number, wanted.len()), Some(wanted))
                }
            };
            busy.insert(id, (range, wanted));
        }
        while !busy.is_empty() {
            self.settle(&mut busy);
        }
        self.remote.flush();
    }

    fn settle(&mut self, busy: &mut Busy) {
        let (id, data) = self.remote.complete();
        let (range, wanted) = busy.remove(&id).expect("it was under way");
        if let Some(wanted) = wanted {
            assert_same(&data, &wanted, &format!("blocks {range:?}"));
        }
    }

    /// Compares what it holds with what it has to hold.
    pub fn check(&mut self) {
        let found = self.read_all();
        assert_same(&found, &self.content, "the disk");
    }
}

/// A namespace of an NVMe target, by one of its queues.
pub struct Namespace {
    /// The queue.
    pub queue: nvme::Queue,
    /// Where this is its only user.
    _controller: Option<nvme::Controller>,
    nsid: u32,
}

impl Remote for Namespace {
    const FILLS_WITH_ANYTHING: bool = false;

    fn read(&mut self, at: u64, blocks: u32, len: usize) -> u32 {
        self.submit(nvme::Command::read(self.nsid, at, blocks, len))
    }

    fn write(&mut self, at: u64, blocks: u32, data: Vec<u8>) -> u32 {
        self.submit(nvme::Command::write(self.nsid, at, blocks, data))
    }

    fn fill(&mut self, at: u64, blocks: u32, _block: Vec<u8>) -> u32 {
        self.submit(nvme::Command::write_zeroes(self.nsid, at, blocks))
    }

    fn complete(&mut self) -> (u32, Vec<u8>) {
        let done = self.queue.complete().and_then(nvme::Completion::ok).expect("it succeeds");
        (done.id.into(), done.data)
    }

    fn flush(&mut self) {
        let done = self.queue.run(nvme::Command::flush(self.nsid));
        done.and_then(nvme::Completion::ok).expect("a flush");
    }
}

impl Namespace {
    fn submit(&mut self, command: nvme::Command) -> u32 {
        self.queue.submit(command).expect("a command is sent").into()
    }

    /// Connects to a subsystem, and opens its first namespace.
    pub fn connect(address: SocketAddr, subsystem: &str, host: nvme::Host) -> RemoteModel<Self> {
        let connected = nvme::Controller::connect(address, subsystem, host);
        let mut controller = connected.expect("it connects");
        let mut opened = Namespace::open(&mut controller, 1);
        opened.remote._controller = Some(controller);
        opened
    }

    /// Opens a namespace by a queue of its own.
    pub fn open(controller: &mut nvme::Controller, nsid: u32) -> RemoteModel<Self> {
        let size = controller.size(nsid).expect("a namespace");
        let queue = controller.io_queue(64).expect("a queue");
        RemoteModel::new(Namespace { queue, _controller: None, nsid }, size)
    }
}

/// A unit of an iSCSI target, by a session of its own.
pub struct Unit {
    /// The session.
    pub session: iscsi::Session,
    lun: u8,
}

impl Remote for Unit {
    const FILLS_WITH_ANYTHING: bool = true;

    fn read(&mut self, at: u64, blocks: u32, len: usize) -> u32 {
        self.submit(iscsi::Command::read(self.lun, at, blocks, len))
    }

    fn write(&mut self, at: u64, blocks: u32, data: Vec<u8>) -> u32 {
        self.submit(iscsi::Command::write(self.lun, at, blocks, data))
    }

    fn fill(&mut self, at: u64, blocks: u32, block: Vec<u8>) -> u32 {
        self.submit(iscsi::Command::write_same(self.lun, at, blocks, block))
    }

    fn complete(&mut self) -> (u32, Vec<u8>) {
        let done = self.session.complete().expect("the session goes on");
        (done.task, done.ok().expect("it succeeds"))
    }

    fn flush(&mut self) {
        self.session.ask(iscsi::Command::flush(self.lun)).expect("a flush");
    }
}

impl Unit {
    fn submit(&mut self, command: iscsi::Command) -> u32 {
        self.session.submit(command).expect("a command is sent")
    }

    /// Opens a unit.
    pub fn open(mut session: iscsi::Session, lun: u8) -> RemoteModel<Self> {
        let size = session.size(lun).expect("a unit");
        RemoteModel::new(Unit { session, lun }, size)
    }
}
