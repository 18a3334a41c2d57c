// SPDX-License-Identifier: GPL-2.0-only
//! Network block devices: the kernel's own nbd, driven by its stock client, with disks of a qemu-nbd.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use cluster::{Cluster, Layout, Model, Random, Start, assert_same, eventually, text};

const SIZE: u64 = 32 << 20;

/// A server of a file, on a socket of the Unix kind.
struct Server {
    process: Child,
    image: PathBuf,
    socket: PathBuf,
}

impl Server {
    fn start(cluster: &Cluster, name: &str) -> Server {
        let image = cluster.dir.join(format!("{name}.img"));
        if !image.exists() {
            File::create(&image).unwrap().set_len(SIZE).unwrap();
        }
        let socket = cluster.dir.join(format!("{name}.sock"));
        let _ = fs::remove_file(&socket);
        let process = Command::new("qemu-nbd")
            .args(["--persistent", "--format=raw", "--shared=8", "--discard=unmap", "--socket"])
            .args([&socket, &image])
            .stdin(Stdio::null())
            .start()
            .expect("qemu-nbd runs");
        eventually("the server listens", || UnixStream::connect(&socket).is_ok());
        Server { process, image, socket }
    }

    /// Connects `device` of a node to it.
    fn connect(&self, cluster: &Cluster, node: &str, device: &str) {
        let socket = self.socket.display().to_string();
        let options = ["-connections", "2", "-block-size", "512"];
        let words = ["nbd-client", "-unix", &socket, device].into_iter().chain(options);
        let output = cluster.on(node, &words.collect::<Vec<_>>());
        assert!(output.status.success(), "{}", text(&output));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn node_with_nbd(name: &str) -> Cluster {
    let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
    for node in &cluster.nodes {
        cluster.umc_ok(&["insmod", "--node", node, "nbd", "nbds_max=2"]);
    }
    cluster
}

fn size(cluster: &Cluster, node: &str, device: &str) -> u64 {
    let path = format!("sys/block/{device}/size");
    fs::read_to_string(cluster.root(node).join(path)).unwrap().trim().parse().unwrap()
}

fn stop(cluster: &Cluster) {
    for node in &cluster.nodes {
        cluster.umc_ok(&["rmmod", "--node", node, "nbd"]);
        cluster.stop(node);
    }
}

/// What is written is the server's after a flush, what is discarded is given back by it, and a disconnect ends the disk.
#[test]
fn a_disk_of_a_server() {
    let cluster = node_with_nbd("nbd");
    let node = cluster.a();
    let server = Server::start(&cluster, "server");
    assert_eq!(size(&cluster, node, "nbd0"), 0);
    server.connect(&cluster, node, "/dev/nbd0");
    assert_eq!(size(&cluster, node, "nbd0"), SIZE >> 9);
    let check = cluster.on(node, &["nbd-client", "-check", "/dev/nbd0"]);
    assert!(check.status.success(), "{}", text(&check));

    let mut model = Model::open(&cluster.root(node).join("dev/nbd0"));
    let mut random = Random::new("a_disk_of_a_server");
    (0..300).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    let content = model.close();
    assert_same(&fs::read(&server.image).unwrap(), &content, "the server's file");

    let taken = fs::metadata(&server.image).unwrap().blocks();
    let discard = cluster.on(node, &["blkdiscard", "/dev/nbd0"]);
    assert!(discard.status.success(), "{}", text(&discard));
    assert!(fs::metadata(&server.image).unwrap().blocks() < taken, "the server unmaps");

    let busy = cluster.umc(&["rmmod", "--node", node, "nbd"]);
    assert!(!busy.status.success(), "{}", text(&busy));
    let disconnect = cluster.on(node, &["nbd-client", "-d", "/dev/nbd0"]);
    assert!(disconnect.status.success(), "{}", text(&disconnect));
    eventually("the disk is empty", || size(&cluster, node, "nbd0") == 0);
    stop(&cluster);
}

/// The client's old way: ioctls, of which one lasts as long as the disk and answers for its end.
#[test]
fn a_client_that_stays() {
    let cluster = node_with_nbd("nbd-ioctl");
    let node = cluster.a();
    let server = Server::start(&cluster, "server");
    let socket = server.socket.display().to_string();
    let client = || {
        let words = ["nbd-client", "-L", "-nofork", "-unix", &socket, "/dev/nbd0"];
        let client = cluster.command_on(node, &words).stdin(Stdio::null()).start().unwrap();
        eventually("the disk is there", || size(&cluster, node, "nbd0") == SIZE >> 9);
        client
    };
    let mut first = client();
    let mut model = Model::open(&cluster.root(node).join("dev/nbd0"));
    let mut random = Random::new("a_client_that_stays");
    (0..300).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    let content = model.close();
    assert_same(&fs::read(&server.image).unwrap(), &content, "the server's file");
    let disconnect = cluster.on(node, &["nbd-client", "-d", "/dev/nbd0"]);
    assert!(disconnect.status.success(), "{}", text(&disconnect));
    assert!(first.wait().unwrap().success());
    assert_eq!(size(&cluster, node, "nbd0"), 0);

    // The client's death is the disk's.
    let mut second = client();
    second.kill().unwrap();
    second.wait().unwrap();
    eventually("the disk is empty", || size(&cluster, node, "nbd0") == 0);
    // It has the disk open, so the node does not end before it.
    let mut third = client();
    let refused = cluster.umc(&["stop", node]);
    for part in ["/dev/nbd0 is open", "nbd-client"] {
        assert!(!refused.status.success() && text(&refused).contains(part), "{}", text(&refused));
    }
    let disconnect = cluster.on(node, &["nbd-client", "-d", "/dev/nbd0"]);
    assert!(disconnect.status.success(), "{}", text(&disconnect));
    assert!(third.wait().unwrap().success());
    stop(&cluster);
}

/// A server that dies fails the I/O and nothing else: the node lives, and its disk can be connected again.
#[test]
fn a_server_that_dies() {
    let cluster = node_with_nbd("nbd-dies");
    let node = cluster.a();
    let server = Server::start(&cluster, "server");
    server.connect(&cluster, node, "/dev/nbd1");
    let device = cluster.root(node).join("dev/nbd1");
    let file = File::options().read(true).write(true).open(&device).unwrap();
    file.write_all_at(&[7; 4096], 4096).unwrap();
    file.sync_all().unwrap();
    drop(server);
    let mut data = [0; 4096];
    let failed = file.read_exact_at(&mut data, 4096).unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(nix::libc::EIO));
    drop(file);
    let disconnect = cluster.on(node, &["nbd-client", "-d", "/dev/nbd1"]);
    assert!(disconnect.status.success(), "{}", text(&disconnect));
    eventually("the disk is empty", || size(&cluster, node, "nbd1") == 0);

    let server = Server::start(&cluster, "server");
    server.connect(&cluster, node, "/dev/nbd1");
    File::open(&device).unwrap().read_exact_at(&mut data, 4096).unwrap();
    assert_eq!(data, [7; 4096]);
    // A node that ends disconnects what is connected.
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}

/// DRBD replicates disks that come from elsewhere.
#[test]
fn drbd_stands_on_nbd() {
    let cluster = node_with_nbd("on-nbd");
    let conf = fs::read_to_string(cluster.conf()).unwrap();
    fs::write(cluster.conf(), conf.replace("/dev/low0", "/dev/nbd0")).unwrap();
    let servers = cluster.nodes.iter().map(|node| Server::start(&cluster, node));
    let servers: Vec<_> = servers.collect();
    for (node, server) in cluster.nodes.iter().zip(&servers) {
        server.connect(&cluster, node, "/dev/nbd0");
        cluster.adm(node, &["create-md", "--force", "r0"]);
        cluster.adm(node, &["up", "r0"]);
    }
    cluster.adm(cluster.a(), &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");
    let mut model = Model::open(&cluster.device(cluster.a(), 0));
    let mut random = Random::new("drbd_stands_on_nbd");
    (0..300).for_each(|_| model.write(&mut random));
    model.sync();
    model.check();
    let content = model.close();
    for (node, server) in cluster.nodes.iter().zip(&servers) {
        cluster.adm(node, &["down", "r0"]);
        assert_same(&fs::read(&server.image).unwrap(), &content, node);
        let disconnect = cluster.on(node, &["nbd-client", "-d", "/dev/nbd0"]);
        assert!(disconnect.status.success(), "{}", text(&disconnect));
    }
    stop(&cluster);
}
