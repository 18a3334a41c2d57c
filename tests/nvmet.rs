// SPDX-License-Identifier: GPL-2.0-only
//! The NVMe target of a node: its namespaces, used over TCP by a host in this program.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileExt, symlink};

use cluster::{
    Cluster, Layout, NvmeNamespace, NvmeTarget, Random, Volumes, assert_same, eventually, text,
};
use nvme::{Command, Controller, DISCOVERY, Digests, Host, Pdu, Queue};

const SUBSYSTEM: &str = "nqn.2026-11.test:one";
/// The status of what comes for a group of namespaces that is off.
const INACCESSIBLE: u16 = 0x302;

fn connect(address: SocketAddr) -> Controller {
    Controller::connect(address, SUBSYSTEM, Host::default()).unwrap()
}

/// A node whose `/dev/ram0` is exported.
struct Exported {
    volumes: Volumes,
    target: NvmeTarget,
    address: SocketAddr,
}

impl Exported {
    fn new(name: &str) -> Exported {
        let volumes = Volumes::new(name, "nvmet");
        let target = NvmeTarget::new(&volumes.0, volumes.0.a());
        let address = target.export(SUBSYSTEM, "/dev/ram0");
        Exported { volumes, target, address }
    }

    /// Memory of the node's process, in KiB.
    fn memory(&self) -> u64 {
        self.volumes.0.memory(self.volumes.0.a())
    }
}

/// Data through queues of every kind of digest, to a device and to files, is what the device has.
#[test]
fn namespaces_of_devices_and_files() {
    let host = Exported::new("nvmet-data");
    let mut random = Random::new("nvmet");
    for (header, data) in [(false, false), (true, false), (true, true)] {
        let digests = Digests { header, data };
        let as_host = Host { digests, ..Host::default() };
        let mut controller = Controller::connect(host.address, SUBSYSTEM, as_host).unwrap();
        assert_eq!(controller.admin.digests(), digests);
        let mut model = NvmeNamespace::open(&mut controller, 1);
        assert_eq!(model.block(), 512);
        model.play(&mut random, 300, 32);
        model.check();
        let below = fs::read(host.volumes.path("dev/ram0")).unwrap();
        assert_same(&below, &model.content, "the device");
        let end = model.content.len() as u64 / 512;
        let behind = model.remote.queue.run(Command::read(1, end - 1, 2, 1024)).unwrap();
        assert_ne!(behind.status, 0, "a place behind the end");
        model.remote.queue.run(Command::deallocate(1, 0, 64)).unwrap().ok().unwrap();
        let start =
            model.remote.queue.run(Command::read(1, 0, 64, 64 * 512)).unwrap().ok().unwrap();
        assert!(start.data.iter().all(|byte| *byte == 0), "a RAM disk reads as zero there");
    }

    // Files of the host beside it: through the page cache, and past it.
    for (nsid, buffered) in [(2, "1"), (3, "0")] {
        let image = host.volumes.0.dir.join(format!("image{nsid}"));
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let path = image.display().to_string();
        host.target.add_namespace(SUBSYSTEM, nsid, &path, &[("buffered_io", buffered)]);
        let mut controller = connect(host.address);
        assert!(controller.namespaces().unwrap().contains(&nsid));
        let mut model = NvmeNamespace::open(&mut controller, nsid);
        model.play(&mut random, 100, 8);
        model.check();
        assert_same(&fs::read(&image).unwrap(), &model.content, "the file");
    }
    host.volumes.stop();
}

/// Who may connect, what is found, and what a host is told when something changes.
#[test]
fn hosts_discovery_and_groups() {
    let host = Exported::new("nvmet-hosts");
    let mut discovery = Controller::connect(host.address, DISCOVERY, Host::default()).unwrap();
    let log = discovery.admin.run(Command::log_page(0x70, 4096)).unwrap().ok().unwrap().data;
    assert!(String::from_utf8_lossy(&log).contains(SUBSYSTEM));

    let subsystem = host.target.subsystem(SUBSYSTEM);
    NvmeTarget::set(&subsystem.join("attr_allow_any_host"), "0");
    let refused = Controller::connect(host.address, SUBSYSTEM, Host::default()).err().unwrap();
    assert!(refused.to_string().contains("0x184"), "invalid host: {refused}");
    let allowed = host.target.path("sys/kernel/config/nvmet/hosts").join(Host::default().nqn);
    fs::create_dir(&allowed).unwrap();
    symlink(&allowed, subsystem.join("allowed_hosts").join(Host::default().nqn)).unwrap();
    let mut controller = connect(host.address);
    let other = Host { nqn: "nqn.2026-11.test:other".to_owned(), ..Host::default() };
    assert!(Controller::connect(host.address, SUBSYSTEM, other).is_err());
    let gone = Controller::connect(host.address, "nqn.2026-11.test:none", Host::default());
    assert!(gone.err().unwrap().to_string().contains("0x182"), "invalid parameter");

    // Another state of its group: what comes then is refused, and whoever asked is told.
    let mut queue = controller.io_queue(8).unwrap();
    controller
        .admin
        .run(Command::new(0x09, 0).word(10, 0x0b).word(11, 0x900))
        .unwrap()
        .ok()
        .unwrap();
    let event = controller.admin.submit(Command::event_request()).unwrap();
    let state = host.target.port(1).join("ana_groups/1/ana_state");
    NvmeTarget::set(&state, "inaccessible");
    let told = controller.admin.complete().unwrap().ok().unwrap();
    assert_eq!((told.id, told.result >> 16 & 0xff), (event, 0x0c), "the log of groups: {told:?}");
    let refused = queue.run(Command::read(1, 0, 1, 512)).unwrap();
    assert_eq!(refused.status & 0x7ff, INACCESSIBLE, "{refused:?}");
    NvmeTarget::set(&state, "optimized");
    queue.run(Command::read(1, 0, 1, 512)).unwrap().ok().unwrap();

    // A host that keeps silent for too long.
    let silent = Host { keep_alive_ms: 1000, nqn: Host::default().nqn, ..Host::default() };
    let controller = Controller::connect(host.address, SUBSYSTEM, silent).unwrap();
    let mut ended = controller.admin.stream();
    assert_eq!(ended.read(&mut [0; 64]).unwrap_or(0), 0, "the controller hangs up");

    // An address that is taken, and one of the other family.
    let taken = TcpListener::bind(NvmeTarget::free_address()).unwrap();
    host.target.add_port(2, taken.local_addr().unwrap());
    let link = host.target.port(2).join("subsystems").join(SUBSYSTEM);
    let error = symlink(&subsystem, link).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    let port = host.address.port() + std::process::id() as u16 % 5000;
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    host.target.add_port(3, v6);
    host.target.link(3, SUBSYSTEM);
    assert_eq!(connect(v6).namespaces().unwrap(), [1]);
    saved_and_restored(&host);
    host.volumes.stop();
}

/// The whole configuration, in the form of nvmetcli: away, and back.
fn saved_and_restored(host: &Exported) {
    let (cluster, node) = (&host.volumes.0, host.volumes.0.a());
    let umc = |words: &[&str]| cluster.umc(&[&["nvmet", "-n", node], words].concat());
    // What cannot be enabled is not part of it.
    fs::remove_dir(host.target.port(2)).unwrap();
    let saved = umc(&["save"]);
    assert!(saved.status.success(), "{}", text(&saved));
    let file = cluster.dir.join("nvmet.json");
    fs::write(&file, &saved.stdout).unwrap();
    let file = file.display().to_string();
    let twice = umc(&["restore", &file]);
    assert!(text(&twice).contains("umc nvmet clear"), "{}", text(&twice));
    assert!(umc(&["clear"]).status.success());
    assert!(Controller::connect(host.address, SUBSYSTEM, Host::default()).is_err());
    assert!(!host.target.subsystem(SUBSYSTEM).exists());
    let restored = umc(&["restore", &file]);
    assert!(restored.status.success(), "{}", text(&restored));
    assert_eq!(connect(host.address).namespaces().unwrap(), [1]);
    let other = Host { nqn: "nqn.2026-11.test:other".to_owned(), ..Host::default() };
    assert!(Controller::connect(host.address, SUBSYSTEM, other).is_err(), "as before");
    assert_eq!(String::from_utf8(umc(&["save"]).stdout), String::from_utf8(saved.stdout));
}

/// An export ends with its port, its device, its node, whatever is under way.
#[test]
fn ends_with_sessions_open() {
    let host = Exported::new("nvmet-ends");
    let mut controller = connect(host.address);
    let mut queue = controller.io_queue(32).unwrap();
    let until_it_ends = |queue: &mut Queue| -> Result<()> {
        loop {
            while queue.depth() < 16 {
                queue.submit(Command::write(1, 8 * queue.depth() as u64, 8, vec![5; 4096]))?;
            }
            queue.complete()?;
        }
    };
    std::thread::scope(|scope| {
        let load = scope.spawn(|| until_it_ends(&mut queue));
        eventually("something is written", || {
            let mut sector = [0; 512];
            let ram = File::open(host.volumes.path("dev/ram0")).unwrap();
            ram.read_exact_at(&mut sector, 0).unwrap();
            sector == [5; 512]
        });
        host.target.unlink(1, SUBSYSTEM);
        assert!(load.join().unwrap().is_err(), "the connection has ended");
    });
    host.target.link(1, SUBSYSTEM);

    // A namespace that goes, and comes. Nobody may ask for it meanwhile: the driver would forget a reference to its name.
    let mut controller = connect(host.address);
    let mut queue = controller.io_queue(8).unwrap();
    let enable = host.target.subsystem(SUBSYSTEM).join("namespaces/1/enable");
    NvmeTarget::set(&enable, "0");
    assert!(controller.namespaces().unwrap().is_empty());
    NvmeTarget::set(&enable, "1");
    queue.run(Command::read(1, 0, 1, 512)).unwrap().ok().unwrap();
    // What is taken down with the rest: more groups, and names that a shell would take for something else.
    fs::create_dir(host.target.port(1).join("ana_groups/2")).unwrap();
    host.target.add_subsystem("a name; with 'quotes' $(and more)");
    // In use: its module stays.
    let refused = host.volumes.0.umc(&["rmmod", "--node", host.volumes.0.a(), "nvmet"]);
    assert!(!refused.status.success());
    host.volumes.stop();
    assert!(queue.run(Command::read(1, 0, 1, 512)).is_err(), "nobody is there any more");
}

/// A replicated device: what a host writes, both nodes have.
#[test]
fn a_replicated_namespace() {
    let cluster = Cluster::in_sync("nvmet-drbd", Layout { disk_mib: 16, ..Layout::default() });
    let node = cluster.a();
    cluster.adm(node, &["primary", "r0"]);
    let target = NvmeTarget::new(&cluster, node);
    let address = target.export(SUBSYSTEM, "/dev/drbd0");
    let mut controller = connect(address);
    let mut model = NvmeNamespace::open(&mut controller, 1);
    model.play(&mut Random::new("nvmet-drbd"), 300, 32);
    model.check();
    let content = model.content;
    // The namespace has the device open: it is taken down before DRBD.
    cluster.stop(node);
    cluster.adm(cluster.b(), &["primary", "r0"]);
    assert_same(&fs::read(cluster.device(cluster.b(), 0)).unwrap(), &content, "the peer");
    cluster.adm(cluster.b(), &["secondary", "r0"]);
    cluster.stop(cluster.b());
}

/// Bytes that make no sense, at each point of a connection: the node lives, others are served, and memory does not grow.
#[test]
fn hostile_bytes() {
    let host = Exported::new("nvmet-hostile");
    let mut random = Random::new("hostile");
    let mut attack = |rounds: usize| {
        for _ in 0..rounds {
            // What a target does not like ends the connection, at any time.
            let _ = hostile_connection(host.address, &mut random);
        }
    };
    attack(200);
    let before = host.memory();
    attack(800);
    let after = host.memory();
    assert!(after < before + (24 << 10), "{before} KiB, then {after}");
    let mut controller = connect(host.address);
    let mut model = NvmeNamespace::open(&mut controller, 1);
    model.play(&mut Random::new("after"), 50, 8);
    model.check();
    host.volumes.stop();
}

/// One connection that goes well for a while, then does not.
fn hostile_connection(address: SocketAddr, random: &mut Random) -> Result<()> {
    let mut junk = vec![0; 1 + random.below(3000) as usize];
    random.fill(&mut junk);
    if random.below(4) == 0 {
        let mut stream = std::net::TcpStream::connect(address)?;
        // A length that fits lets more of it be looked at.
        junk[0] %= 10;
        return stream.write_all(&junk);
    }
    let digests = Digests { header: random.below(2) == 0, data: random.below(2) == 0 };
    let as_host = Host { digests, ..Host::default() };
    let mut controller = Controller::connect(address, SUBSYSTEM, as_host)?;
    let queue = match random.below(3) {
        0 => controller.admin,
        _ => controller.io_queue(16)?,
    };
    // A command, a piece of data, or an end, with some bytes changed.
    let kinds = [nvme::Kind::Command, nvme::Kind::HostData, nvme::Kind::HostTermination];
    let kind = kinds[random.below(3) as usize];
    let mut head = vec![0; if kind == nvme::Kind::Command { 64 } else { 16 }];
    if random.below(2) == 0 || kind != nvme::Kind::Command {
        random.fill(&mut head);
    } else {
        // A write of a block whose data the target asks for.
        head[..5].copy_from_slice(&[1, 0x40, 1, 0, 1]);
        (head[33], head[39]) = (2, 0x5a);
    }
    let mut unit = Pdu::new(kind, head);
    if random.below(2) == 0 {
        unit.data.clone_from(&junk);
    }
    let mut bytes = unit.encode(digests);
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] = random.number() as u8;
    }
    let mut stream = queue.stream();
    stream.write_all(&bytes)?;
    stream.write_all(&junk)
}
