// SPDX-License-Identifier: GPL-2.0-only
//! The iSCSI target of a node (LIO): its units, used by an initiator in this program and by the stock ones.

use std::fs::{self, File};
use std::io::{Result, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::Command as Program;

use cluster::{
    Cluster, IscsiTarget, Layout, Random, Start, Unit, Volumes, assert_same, eventually, text,
};
use iscsi::{Chap, Command, Digests, Initiator, Pdu, Session, op};

const TARGET: &str = "iqn.2026-11.org.test:one";
/// What failures are told by.
const MISCOMPARE: u32 = 0x0e_1d00;
const OUT_OF_RANGE: u32 = 0x05_2100;

fn open(address: SocketAddr) -> Session {
    Session::open(address, Some(TARGET), &Initiator::default()).unwrap()
}

fn as_initiator(address: SocketAddr, initiator: &Initiator) -> Result<Session> {
    Session::open(address, Some(TARGET), initiator)
}

/// A node whose `/dev/ram0` is exported.
struct Exported {
    volumes: Volumes,
    target: IscsiTarget,
    address: SocketAddr,
}

impl Exported {
    fn new(name: &str) -> Exported {
        let volumes = Volumes::new(name, "target_core_mod");
        let target = IscsiTarget::new(&volumes.0, volumes.0.a(), TARGET);
        let address = target.export("/dev/ram0");
        Exported { volumes, target, address }
    }

    /// Memory of the node's process, in KiB.
    fn memory(&self) -> u64 {
        self.volumes.0.memory(self.volumes.0.a())
    }

    /// Sessions that have not ended: each has a thread that receives.
    fn sessions(&self) -> usize {
        let pid = self.volumes.0.pid(self.volumes.0.a()).expect("the node lives");
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("iscsi_trx")).count()
    }
}

/// Runs a stock program of the host, which must succeed: what it says.
fn stock(program: &str, args: &[&str]) -> String {
    succeed(Program::new(program).args(args))
}

fn succeed(command: &mut Program) -> String {
    let output = command.run().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Data through sessions of every kind, to a device and to files, is what the device has.
#[test]
fn units_of_devices_and_files() {
    let host = Exported::new("lio-data");
    let mut random = Random::new("lio");
    for (header, data, immediate) in
        [(false, false, true), (true, false, false), (true, true, true)]
    {
        let digests = Digests { header, data };
        let initiator = Initiator { digests, immediate, ..Initiator::default() };
        let session = as_initiator(host.address, &initiator).unwrap();
        assert_eq!(session.digests(), digests);
        let mut model = Unit::open(session, 0);
        assert_eq!(model.block(), 512);
        model.play(&mut random, 300, 32);
        model.check();
        let below = fs::read(host.volumes.path("dev/ram0")).unwrap();
        assert_same(&below, &model.content, "the device");
        let end = model.content.len() as u64 / 512;
        let behind = model.remote.session.run(Command::read(0, end - 1, 2, 1024)).unwrap();
        assert_eq!(behind.sense, OUT_OF_RANGE);
        model.remote.session.log_out().unwrap();
    }

    // More units: a file of the host, with and without its page cache behind a write, and a second device.
    for (lun, mode) in [(1, ""), (2, ",fd_buffered_io=1")] {
        let image = host.volumes.0.dir.join(format!("image{lun}"));
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let name = format!("file{lun}");
        let parameters = format!(",fd_dev_size={}{mode}", 8 << 20);
        host.target.add_store("fileio", &name, &image.display().to_string(), &parameters);
        host.target.add_unit(lun, "fileio", &name);
        let mut model = Unit::open(open(host.address), lun);
        assert_eq!(model.content.len(), 8 << 20);
        model.play(&mut random, 100, 8);
        model.check();
        assert_same(&fs::read(&image).unwrap(), &model.content, "the file");
    }
    host.target.add_store("iblock", "more", "/dev/ram1", "");
    IscsiTarget::set(&host.target.store("iblock", "more").join("attrib/emulate_tpu"), "1");
    host.target.add_unit(3, "iblock", "more");
    let mut session = open(host.address);
    let luns = session.ask(Command::luns()).unwrap();
    let mut luns: Vec<u8> = luns[8..40].chunks(8).map(|lun| lun[1]).collect();
    luns.sort_unstable();
    assert_eq!(luns, [0, 1, 2, 3]);
    unmap_and_compare(session, 3);
    host.volumes.stop();
}

/// What is let go reads as zero (of a RAM disk), and one block takes another's place only where it is the right one.
fn unmap_and_compare(session: Session, lun: u8) {
    let mut model = Unit::open(session, lun);
    model.play(&mut Random::new("unmap"), 50, 8);
    model.remote.session.ask(Command::unmap(lun, 64, 64)).unwrap();
    model.content[64 * 512..128 * 512].fill(0);
    model.check();
    let (old, new) = (model.content[..512].to_vec(), vec![0x77; 512]);
    let both = [old, new.clone()].concat();
    model.remote.session.ask(Command::compare_and_write(lun, 0, both.clone())).unwrap();
    model.content[..512].copy_from_slice(&new);
    let again = model.remote.session.run(Command::compare_and_write(lun, 0, both)).unwrap();
    assert_eq!(again.sense, MISCOMPARE);
    model.check();
}

/// What initiators that others made see, over both families of addresses.
#[test]
fn stock_initiators() {
    let host = Exported::new("lio-stock");
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 3000 + std::process::id() as u16 % 20000));
    host.target.add_portal(v6);
    let found =
        Session::open(host.address, None, &Initiator::default()).unwrap().targets().unwrap();
    assert!(found.contains(&format!("TargetName={TARGET}")), "{found}");
    assert!(found.contains(&format!("TargetAddress={v6},1")), "{found}");
    for address in [host.address, v6] {
        let listed = stock("iscsi-ls", &["-s", &format!("iscsi://{address}")]);
        assert!(listed.contains(TARGET) && listed.contains("DIRECT_ACCESS"), "{listed}");
        let url = host.target.url(address, 0);
        assert!(stock("iscsi-inq", &[&url]).contains("Vendor:LIO-ORG"));
        let capacity = stock("iscsi-readcapacity16", &[&url]);
        assert!(capacity.contains("Total size:33554432"), "{capacity}");
        Unit::open(open(address), 0).play(&mut Random::new("stock"), 50, 8);
    }
    qemu(&host);
    host.volumes.stop();
}

/// QEMU's tools, where they know iSCSI.
fn qemu(host: &Exported) {
    let url = host.target.url(host.address, 0);
    let image = host.volumes.0.dir.join("image");
    let mut content = vec![0; 32 << 20];
    Random::new("qemu").fill(&mut content);
    fs::write(&image, &content).unwrap();
    if !IscsiTarget::is_known_to_qemu(&url) {
        return;
    }
    let image = image.display().to_string();
    let img = |args: &str| {
        let mut command = IscsiTarget::qemu("qemu-img");
        succeed(command.args(args.split(' ')).args([&image, &url]));
    };
    img("convert -n -f raw -O raw -W -m 16");
    img("compare -f raw -F raw");
    let below = fs::read(host.volumes.path("dev/ram0")).unwrap();
    assert_same(&below, &content, "the device");
    // Many at once, each with a pattern of its own.
    let mut io = IscsiTarget::qemu("qemu-io");
    io.args(["-f", "raw"]);
    for what in ["write", "read"] {
        for at in 0..32 {
            io.args(["-c", &format!("aio_{what} -P {} {}k 32k", at + 1, 64 * at)]);
        }
        io.args(["-c", "aio_flush"]);
    }
    let said = succeed(io.arg(&url));
    assert!(said.matches("32768/32768").count() == 64 && !said.contains("failed"), "{said}");
}

/// Names and secrets, on both sides; and what each initiator may do.
#[test]
fn who_may_log_in() {
    let host = Exported::new("lio-login");
    let attributes = host.target.group().join("attrib");
    IscsiTarget::set(&attributes.join("authentication"), "1");
    IscsiTarget::set(&attributes.join("generate_node_acls"), "0");
    let initiator = Initiator::default();
    let acl = host.target.add_initiator(&initiator.name);
    for (name, value) in [
        ("userid", "visitor"),
        ("password", "a long secret"),
        ("userid_mutual", "host"),
        ("password_mutual", "another secret"),
    ] {
        IscsiTarget::set(&acl.join("auth").join(name), value);
    }
    let chap = Chap {
        name: "visitor".to_owned(),
        secret: "a long secret".to_owned(),
        back: Some(("host".to_owned(), "another secret".to_owned())),
    };
    let with = |chap: &Chap| Initiator { chap: Some(chap.clone()), ..Initiator::default() };
    let refused = |initiator: &Initiator| {
        as_initiator(host.address, initiator).err().expect("nobody gets in").to_string()
    };
    let mut session = as_initiator(host.address, &with(&chap)).unwrap();
    session.ask(Command::write(0, 0, 1, vec![3; 512])).unwrap();
    // Nothing (the driver then ends the connection without a word), a wrong secret, another name, and a target that is not
    // who it should be.
    assert!(as_initiator(host.address, &initiator).is_err());
    let wrong = Chap { secret: "a wrong secret".to_owned(), ..chap.clone() };
    assert!(refused(&with(&wrong)).contains("0201"), "authentication failed");
    let stranger = Initiator { name: "iqn.2026-11.org.test:stranger".to_owned(), ..with(&chap) };
    assert!(refused(&stranger).contains("02"), "{}", refused(&stranger));
    let impostor = Chap { back: Some(("host".to_owned(), "not its secret".to_owned())), ..chap };
    assert!(refused(&with(&impostor)).contains("wrong proof"));
    // The stock tools know it as well.
    let secrets = "visitor%a long secret@";
    let url = host.target.url(host.address, 0).replace("iscsi://", &format!("iscsi://{secrets}"));
    let name = initiator.name.clone();
    assert!(stock("iscsi-inq", &["-i", &name, &url]).contains("LIO-ORG"));

    // A unit that may only be read.
    drop(session);
    let protect = acl.join("lun_0/write_protect");
    IscsiTarget::set(&protect, "1");
    let chap = Chap { name: "visitor".into(), secret: "a long secret".into(), back: None };
    let mut session = as_initiator(host.address, &with(&chap)).unwrap();
    let refused = session.ask(Command::write(0, 0, 1, vec![4; 512])).unwrap_err();
    assert!(refused.to_string().contains("0x072700"), "write protected: {refused}");
    assert_eq!(session.ask(Command::read(0, 0, 1, 512)).unwrap(), vec![3; 512]);
    host.volumes.stop();
}

/// A target ends with its sessions, whatever is under way; a node too, and then nothing is left.
#[test]
fn ends_with_sessions_open() {
    let host = Exported::new("lio-ends");
    let until_it_ends = |mut session: Session, byte: u8| -> Result<()> {
        session.ask(Command::ready(0))?;
        loop {
            while session.depth() < 16 {
                let at = 8 * session.depth() as u64;
                session.submit(Command::write(0, at, 8, vec![byte; 4096]))?;
            }
            session.complete()?.ok()?;
        }
    };
    let is_written = |byte: u8| {
        let mut sector = [0; 512];
        File::open(host.volumes.path("dev/ram0")).unwrap().read_exact_at(&mut sector, 0).unwrap();
        sector == [byte; 512]
    };
    std::thread::scope(|scope| {
        let load = scope.spawn(|| until_it_ends(open(host.address), 5));
        eventually("something is written", || is_written(5));
        host.target.enable(false);
        assert!(load.join().unwrap().is_err(), "the connection has ended");
        assert!(as_initiator(host.address, &Initiator::default()).is_err(), "nobody gets in");
    });
    host.target.enable(true);
    // In use: its module stays.
    let refused = host.volumes.0.umc(&["rmmod", "--node", host.volumes.0.a(), "iscsi_target_mod"]);
    assert!(!refused.status.success());
    std::thread::scope(|scope| {
        let load = scope.spawn(|| until_it_ends(open(host.address), 6));
        eventually("something is written", || is_written(6));
        host.volumes.stop();
        assert!(load.join().unwrap().is_err(), "nobody is there any more");
    });
}

/// Reservations that somebody asked to keep are there after a restart, with the configuration that Debian's tool restores. What
/// the target keeps is the node's.
#[test]
fn reservations_survive_a_restart() {
    let host = Exported::new("lio-kept");
    let node = host.volumes.0.a().to_owned();
    let initiator = Initiator { port: 7, ..Initiator::default() };
    let other = Initiator { name: "iqn.2026-11.org.test:other".to_owned(), ..initiator.clone() };
    // Those of unknown initiators are kept as well, but nothing gives them back to them.
    for known in [&initiator, &other] {
        host.target.add_initiator(&known.name);
    }
    let mut session = as_initiator(host.address, &initiator).unwrap();
    session.ask(Command::reserve(0, 0, 0, (0, 0xabcd), true)).unwrap();
    // Exclusive access for those who registered.
    session.ask(Command::reserve(0, 1, 6, (0xabcd, 0), false)).unwrap();
    let is_refused = |address: SocketAddr| {
        let mut session = as_initiator(address, &other).unwrap();
        session.ask(Command::ready(0)).unwrap();
        session.run(Command::write(0, 0, 1, vec![1; 512])).unwrap().status == 0x18
    };
    assert!(is_refused(host.address));
    host.volumes.run(&["targetctl", "save"]);
    host.volumes.0.stop(&node);
    for dir in ["/etc/target", "/var/target", "/etc/rtslib-fb-target"] {
        assert!(!fs::exists(format!("{dir}/pr/aptpl_unit0")).unwrap(), "{dir} of the host");
    }

    host.volumes.0.start(&node);
    host.volumes.0.umc_ok(&["insmod", "--node", &node, "brd", "rd_nr=4", "rd_size=32768"]);
    host.volumes.run(&["targetctl", "restore"]);
    assert!(is_refused(host.address));
    let mut session = as_initiator(host.address, &initiator).unwrap();
    let keys = session.ask(Command::reservations(0, 0)).unwrap();
    assert_eq!(keys[8..16], 0xabcd_u64.to_be_bytes());
    let held = session.ask(Command::reservations(0, 1)).unwrap();
    assert_eq!((&held[8..16], held[21] & 15), (&0xabcd_u64.to_be_bytes()[..], 6));
    session.ask(Command::write(0, 0, 1, vec![1; 512])).unwrap();
    session.ask(Command::reserve(0, 2, 6, (0xabcd, 0), false)).unwrap();
    host.volumes.run(&["targetctl", "clear"]);
    assert!(Session::open(host.address, None, &Initiator::default()).is_err());
    host.volumes.stop();
}

/// A replicated device: what an initiator writes, both nodes have.
#[test]
fn a_replicated_unit() {
    let cluster = Cluster::in_sync("lio-drbd", Layout { disk_mib: 16, ..Layout::default() });
    let node = cluster.a();
    cluster.adm(node, &["primary", "r0"]);
    let target = IscsiTarget::new(&cluster, node, TARGET);
    let address = target.export("/dev/drbd0");
    let mut model = Unit::open(open(address), 0);
    model.play(&mut Random::new("lio-drbd"), 300, 32);
    model.check();
    let content = model.content;
    // The unit has the device open: it is taken down before DRBD.
    cluster.stop(node);
    cluster.adm(cluster.b(), &["primary", "r0"]);
    assert_same(&fs::read(cluster.device(cluster.b(), 0)).unwrap(), &content, "the peer");
    cluster.adm(cluster.b(), &["secondary", "r0"]);
    cluster.stop(cluster.b());
}

/// Bytes that make no sense, at login and later: the node lives, others are served, and memory does not grow. `UMC_ROUNDS`
/// connections (400) are measured.
#[test]
fn hostile_bytes() {
    let host = Exported::new("lio-hostile");
    // Sessions are not kept for initiators that come back, and the disk takes no more memory than it has: both are no leak.
    IscsiTarget::set(&host.target.group().join("param/DefaultTime2Retain"), "0");
    let mut session = open(host.address);
    let (blocks, block) = session.size(0).unwrap();
    for at in (0..blocks).step_by(4096) {
        session.ask(Command::write_same(0, at, 4096, vec![1; block])).unwrap();
    }
    session.log_out().unwrap();
    let mut random = Random::new("hostile");
    let mut attack = |rounds: usize| {
        for round in 0..rounds {
            // What a target does not like ends the connection, at any time.
            let _ = hostile_connection(host.address, &mut random);
            // Each session that ends has two threads for a while (it waits two seconds for what is
            // under way): never so many of them that they are taken for a leak.
            if round % 200 == 199 || round + 1 == rounds {
                eventually("sessions end", || host.sessions() == 0);
            }
        }
    };
    let rounds =
        std::env::var("UMC_ROUNDS").map_or(400, |rounds| rounds.parse().expect("a number"));
    // Until as much was under way at once as ever is.
    attack(rounds / 4 + 100);
    let before = host.memory();
    attack(rounds);
    let after = host.memory();
    // One request of random length may have tens of megabytes. The first stack that is written down brings in what the program's
    // places are called, for good; the driver has one written now and then, when it sleeps in a timer (docs/exports.md).
    let log = host.volumes.0.dir.join("run").join(host.volumes.0.a()).join("log");
    let log = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let bound = if log.contains("in atomic context") { 192 << 10 } else { 64 << 10 };
    assert!(after < before + bound, "{before} KiB, then {after}");
    let mut model = Unit::open(open(host.address), 0);
    model.play(&mut Random::new("after"), 50, 8);
    model.check();
    host.volumes.stop();
}

/// The attribute of a command that waits for all before it, and has all behind it wait.
const ORDERED: u8 = 2;

/// One connection that goes well for a while, then does not.
fn hostile_connection(address: SocketAddr, random: &mut Random) -> Result<()> {
    let mut junk = vec![0; 1 + random.below(3000) as usize];
    random.fill(&mut junk);
    let change = |bytes: &mut [u8], random: &mut Random| {
        for _ in 0..random.below(5) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.number() as u8;
        }
    };
    if random.below(3) == 0 {
        // A login, more or less.
        let mut unit = Pdu::new(op::LOGIN | op::IMMEDIATE, 0x87, 1);
        let keys =
            ["InitiatorName=iqn.x.y", "SessionType=Normal", "HeaderDigest=CRC32C,None", "A=B"];
        unit.data = keys.map(|key| format!("{key}\0")).concat().into_bytes();
        unit.data.extend(format!("TargetName={TARGET}\0").bytes());
        let mut bytes = unit.encode(Digests::default());
        change(&mut bytes, random);
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&bytes)?;
        return if random.below(2) == 0 { stream.write_all(&junk) } else { Ok(()) };
    }
    let digests = Digests { header: random.below(2) == 0, data: random.below(2) == 0 };
    let initiator = Initiator { digests, port: random.number() as u32, ..Initiator::default() };
    let mut session = as_initiator(address, &initiator)?;
    session.ask(Command::ready(0))?;
    let (command, status) = session.numbers();
    let opcodes = [
        op::NOP_OUT,
        op::COMMAND,
        op::COMMAND,
        op::LOGIN,
        op::TEXT,
        op::DATA_OUT,
        op::LOGOUT,
        op::SNACK,
    ];
    let opcode = opcodes[random.below(opcodes.len() as u64) as usize];
    let at_once = if random.below(2) == 0 { op::IMMEDIATE } else { 0 };
    let flags = random.number() as u8;
    let mut unit = Pdu::new(opcode | at_once, flags, 77).with(24, command).with(28, status);
    if random.below(2) == 0 {
        // A command that a disk may know, with anything for the rest.
        let known = [
            0x00, 0x12, 0x1a, 0x28, 0x2a, 0x42, 0x41, 0x5e, 0x5f, 0x83, 0x88, 0x89, 0x8a, 0x93,
            0x9e, 0xa3,
        ];
        random.fill(&mut unit.header[32..]);
        unit.header[32] = known[random.below(known.len() as u64) as usize];
        unit = unit.with(20, random.below(1 << 20) as u32);
    }
    if random.below(2) == 0 {
        unit.data.clone_from(&junk);
    }
    let mut bytes = unit.encode(digests);
    change(&mut bytes, random);
    // Faults of the driver (docs/exports.md): it does not look whether a command takes the data that come along; it gives a
    // command back once too often when their digest is wrong; a reset of the unit may wait for ever for a command whose
    // connection ends; and after an ordered command whose connection ends the unit may do nothing more.
    let (opcode, writes, attribute) = (bytes[0] & 0x3f, bytes[1] & 0x20 != 0, bytes[1] & 7);
    let brings_data = bytes[5..8] != [0; 3] && (!writes || digests.data);
    let is_left_out = match opcode {
        op::COMMAND => brings_data || attribute == ORDERED,
        _ => opcode == op::TASK_REQUEST,
    };
    if is_left_out {
        return Ok(());
    }
    let mut stream = session.stream();
    stream.write_all(&bytes)?;
    stream.write_all(&junk[..random.below(junk.len() as u64) as usize])
}
