// SPDX-License-Identifier: GPL-2.0-only
//! Disks as another machine sees them: through the NVMe target of a node, and beside it through stock servers of NBD.
//!
//! The host of NVMe is one connection and one thread of this process (`tests/nvme`), that of NBD is fio's own engine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster::{Cluster, NvmeTarget, Random, eventually};
use nvme::{Command as NvmeCommand, Controller, Host};

use crate::{Figure, REPETITIONS, fio_with, ram};

const DISK_MIB: u64 = 64;
const SUBSYSTEM: &str = "nqn.2026-11.figures:export";
const TIME: Duration = Duration::from_secs(2);

/// Size of a request, depth.
const LOADS: [(usize, usize); 4] = [(4 << 10, 1), (4 << 10, 32), (128 << 10, 1), (128 << 10, 32)];

/// Requests a second to a namespace of blocks of 512 bytes or 4 KiB, at random places.
fn nvme_rate(address: SocketAddr, subsystem: &str, writes: bool, len: usize, depth: usize) -> f64 {
    let mut controller =
        Controller::connect(address, subsystem, Host::default()).expect("it connects");
    let (blocks, block) = controller.size(1).expect("a namespace");
    let mut queue = controller.io_queue(depth as u16 + 1).expect("a queue");
    let count = (len / block) as u32;
    let places = blocks / u64::from(count);
    let mut random = Random::new("exports");
    let data = vec![0x5a; len];
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < TIME || queue.depth() > 0 {
        while queue.depth() < depth && start.elapsed() < TIME {
            let place = random.below(places) * u64::from(count);
            let command = match writes {
                true => NvmeCommand::write(1, place, count, data.clone()),
                false => NvmeCommand::read(1, place, count, len),
            };
            queue.submit(command).expect("a command is sent");
        }
        queue.complete().and_then(nvme::Completion::ok).expect("a command succeeds");
        done += 1;
    }
    f64::from(done) / start.elapsed().as_secs_f64()
}

/// A server of NBD on a socket of the host.
struct NbdServer {
    process: Child,
    socket: PathBuf,
}

impl NbdServer {
    fn start(dir: &Path, words: &[&str]) -> NbdServer {
        let socket = dir.join(format!("{}.sock", words[0]));
        let place = socket.display().to_string();
        let words: Vec<String> = words.iter().map(|word| word.replace("{}", &place)).collect();
        let process = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        eventually("the server listens", || socket.exists());
        NbdServer { process, socket }
    }

    fn rate(&self, writes: bool, len: usize, depth: usize) -> f64 {
        let side = if writes { "write" } else { "read" };
        let uri = format!("--uri=nbd+unix:///?socket={}", self.socket.display());
        let args = [
            "--ioengine=nbd",
            &uri,
            &format!("--rw=rand{side}"),
            &format!("--bs={len}"),
            &format!("--iodepth={depth}"),
            &format!("--size={DISK_MIB}M"),
        ];
        crate::iops(&fio_with(&[], Path::new("/dev/null"), &args), side)
    }
}

impl Drop for NbdServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn measure(figures: &mut Vec<Figure>) {
    let cluster = Cluster::in_sync("exports", ram("", "", DISK_MIB));
    let node = cluster.a();
    cluster.adm(node, &["primary", "r0"]);
    cluster.umc_ok(&["disk", "--node", node, "add", "plain", &format!("ram/,size={DISK_MIB}M")]);
    let target = NvmeTarget::new(&cluster, node);
    let exported = [(1, "/dev/plain"), (2, "/dev/drbd0")].map(|(number, path)| {
        let (address, name) = (NvmeTarget::free_address(), format!("{SUBSYSTEM}-{number}"));
        target.add_subsystem(&name);
        target.add_namespace(&name, 1, path, &[]);
        target.add_port(number, address);
        target.link(number, &name);
        (path, name, address)
    });
    let size = format!("{DISK_MIB}M");
    let plain = cluster.root(node).join("dev/plain").display().to_string();
    let servers = [
        ("nbdkit memory", ["nbdkit", "-f", "-U", "{}", "memory", &size].to_vec()),
        ("qemu-nbd, ram by FUSE", ["qemu-nbd", "-t", "-f", "raw", "-k", "{}", &plain].to_vec()),
    ];
    let servers = servers.map(|(name, words)| (name, NbdServer::start(&cluster.dir, &words)));
    for (len, depth) in LOADS {
        for writes in [false, true] {
            let side = if writes { "write" } else { "read" };
            let mut add = |name: &str, rate: &dyn Fn() -> f64| {
                let values = (0..REPETITIONS).map(|_| rate()).collect();
                let name = format!("{}k {side}, depth {depth}: {name}", len >> 10);
                figures.push(Figure { name, unit: "1/s", wanted: "", values });
            };
            for (path, subsystem, address) in &exported {
                let name = format!("NVMe/TCP, {path}");
                add(&name, &|| nvme_rate(*address, subsystem, writes, len, depth));
            }
            for (name, server) in &servers {
                add(name, &|| server.rate(writes, len, depth));
            }
        }
    }
    drop(servers);
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}
