// SPDX-License-Identifier: GPL-2.0-only
//! A disk for other machines that outlives the machine which serves it: initiator, LIO, DRBD, a handler's disk, and a second node
//! with the same.
//!
//! Method: threads write blocks over iSCSI, each in a part of its own, several at once; the node that serves is killed with
//! SIGKILL; the other one is promoted, takes the address, shows the device under the same name and unit, and the threads, which
//! log in again until they get in, go on. It goes back and forth. Each node has a network of its own.
//! Checked: every block holds what was acknowledged last, or what was sent after that and not answered; what QEMU wrote before a
//! move it finds behind it; in the end both lower disks hold the same.
//! The recipe is in `docs/exports.md`.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{
    Cluster, IscsiTarget, Lan, Layout, Over, PATIENCE, Random, Start, assert_same, eventually, text,
};
use iscsi::{Command, Initiator, Session};

const TARGET: &str = "iqn.2026-11.org.test:moves";
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Lan::MOVING), 3260);
const WRITERS: u64 = 2;
/// Bytes of a block here, blocks of a writer, and how many it writes at once.
const BLOCK: usize = 4096;
const BLOCKS: u64 = 512;
const DEPTH: usize = 16;

/// A block: which one it is and its version, all over.
fn content(block: u64, version: u64) -> Vec<u8> {
    [block.to_le_bytes(), version.to_le_bytes()].concat().repeat(BLOCK / 16)
}

/// A writer, and what it knows of its blocks: what was acknowledged last, what was sent last.
struct Writer {
    first: u64,
    acknowledged: Vec<u64>,
    sent: Vec<u64>,
    random: Random,
    version: u64,
}

impl Writer {
    fn new(number: u64, random: &mut Random) -> Writer {
        let none = vec![0; BLOCKS as usize];
        let first = number * BLOCKS;
        Writer { first, acknowledged: none.clone(), sent: none, random: random.fork(), version: 0 }
    }

    /// Writes through one session until it ends, or is over.
    fn write(
        &mut self,
        session: &mut Session,
        is_over: &AtomicBool,
        done: &AtomicU64,
    ) -> std::io::Result<()> {
        session.ask(Command::ready(0))?;
        let mut busy: Vec<(u32, usize)> = Vec::new();
        while !is_over.load(Ordering::Relaxed) || !busy.is_empty() {
            while busy.len() < DEPTH && !is_over.load(Ordering::Relaxed) {
                let index = self.random.below(BLOCKS) as usize;
                if busy.iter().any(|(_, other)| *other == index) {
                    continue;
                }
                self.version += 1;
                self.sent[index] = self.version;
                let block = self.first + index as u64;
                let data = content(block, self.version);
                let write = Command::write(0, block * 8, 8, data);
                busy.push((session.submit(write)?, index));
            }
            let answer = session.complete()?;
            let at = busy.iter().position(|(task, _)| *task == answer.task).expect("it was sent");
            let (_, index) = busy.swap_remove(at);
            answer.ok()?;
            self.acknowledged[index] = self.sent[index];
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes until it is over, logging in again when a session has ended.
    fn run(&mut self, is_over: &AtomicBool, done: &AtomicU64) {
        let mut end = Instant::now() + PATIENCE;
        while !is_over.load(Ordering::Relaxed) {
            let port = 1 + (self.first / BLOCKS) as u32;
            let initiator = Initiator { port, ..Initiator::default() };
            if let Ok(mut session) = Session::open(ADDRESS, Some(TARGET), &initiator) {
                let before = self.acknowledged.clone();
                let _ = self.write(&mut session, is_over, done);
                if self.acknowledged != before {
                    end = Instant::now() + PATIENCE;
                }
            }
            assert!(Instant::now() < end, "nobody serves at {ADDRESS}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn check(&mut self, disk: &[u8]) {
        for index in 0..BLOCKS as usize {
            let block = self.first + index as u64;
            let at = block as usize * BLOCK;
            let found = &disk[at..at + BLOCK];
            let version = u64::from_le_bytes(found[8..16].try_into().expect("8 bytes"));
            let range = self.acknowledged[index]..=self.sent[index];
            assert!(range.contains(&version), "block {block}: version {version} of {range:?}");
            if version > 0 {
                assert_same(found, &content(block, version), &format!("block {block}"));
            }
        }
    }
}

/// Serves the device of a node, which becomes Primary and gets the address.
fn serve(cluster: &Cluster, lan: &Lan, node: usize) -> IscsiTarget {
    let name = &cluster.nodes[node];
    cluster.adm(name, &["primary", "r0"]);
    lan.give(cluster, node);
    let target = IscsiTarget::new(cluster, name, TARGET);
    target.export_at("/dev/drbd0", ADDRESS);
    target
}

/// QEMU writes a MiB behind what the writers have, or checks it.
fn qemu(lan: &Lan, url: &str, what: &str) {
    lan.within(|| {
        if IscsiTarget::is_known_to_qemu(url) {
            let io = IscsiTarget::qemu("qemu-io")
                .args(["-f", "raw", "-c", what, "-c", "flush", url])
                .run();
            let said = text(&io.expect("qemu-io runs"));
            assert!(said.contains("1048576/1048576") && !said.contains("failed"), "{said}");
        }
    });
}

#[test]
fn no_acknowledged_write_is_lost() {
    let lan = Arc::new(Lan::default());
    let layout = Layout { disk_mib: 8, lan: Some(lan.clone()), ..Layout::default() };
    let cluster = Cluster::in_sync("lio-failover", layout);
    let mut random = Random::new("failover");
    let mut writers: Vec<Writer> = (0..WRITERS).map(|it| Writer::new(it, &mut random)).collect();
    let (mut here, mut there) = (0, 1);
    let url = serve(&cluster, &lan, here).url(ADDRESS, 0);
    for round in 0..2 {
        let that = &cluster.nodes[there];
        qemu(&lan, &url, &format!("write -P {} 5M 1M", 100 + round));
        let (is_over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let _over = Over(&is_over);
            for writer in &mut writers {
                let (is_over, done, lan) = (&is_over, &done, &lan);
                scope.spawn(move || lan.within(|| writer.run(is_over, done)));
            }
            let written = |more: u64| {
                let now = done.load(Ordering::Relaxed);
                eventually("something is written", || done.load(Ordering::Relaxed) > now + more);
            };
            written(200 + random.below(500));
            // A machine that dies takes its address along.
            cluster.kill(&cluster.nodes[here]);
            lan.take(here);
            let is_alone = |_: &str| cluster.adm(that, &["cstate", "r0"]) == "WFConnection";
            cluster.await_events(that, is_alone, "WFConnection");
            serve(&cluster, &lan, there);
            written(200);
        });
        qemu(&lan, &url, &format!("read -P {} 5M 1M", 100 + round));
        let disk = fs::read(cluster.device(that, 0)).expect("the device can be read");
        writers.iter_mut().for_each(|writer| writer.check(&disk));
        // The other one comes back, and catches up.
        cluster.start(&cluster.nodes[here]);
        cluster.adm(&cluster.nodes[here], &["up", "r0"]);
        let is_even = |_: &str| cluster.adm(that, &["dstate", "r0"]) == "UpToDate/UpToDate";
        cluster.await_events(that, is_even, "UpToDate/UpToDate");
        (here, there) = (there, here);
    }
    // A planned move: the node that serves is stopped, which takes the target and the device down.
    let (this, that) = (&cluster.nodes[here], &cluster.nodes[there]);
    let served = fs::read(cluster.device(this, 0)).expect("the device can be read");
    cluster.stop(this);
    lan.take(here);
    serve(&cluster, &lan, there);
    let found = fs::read(cluster.device(that, 0)).expect("the device can be read");
    assert_same(&found, &served, "the peer");
    writers.iter_mut().for_each(|writer| writer.check(&found));
    let size = lan.within(|| {
        let mut session = Session::open(ADDRESS, Some(TARGET), &Initiator::default()).unwrap();
        session.ask(Command::ready(0)).unwrap();
        session.size(0).unwrap()
    });
    assert_eq!(size.0 as usize * size.1, found.len());
    cluster.stop(that);
}
