// SPDX-License-Identifier: GPL-2.0-only
//! Debian's `targetcli` and `targetctl`, unmodified, configure the iSCSI target of a node: on DRBD, on a RAM disk and on a file of
//! the host, over both families of addresses.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr};

use cluster::{Bus, Cluster, IscsiTarget, Layout, Random, Unit, Volumes, assert_same, text};
use iscsi::{Chap, Command, Initiator, Session};

const TARGET: &str = "iqn.2026-11.org.test:cli";

/// A node under its administrator.
struct Admin {
    volumes: Volumes,
    bus: Bus,
}

impl Admin {
    /// Lines of `targetcli`, in one go.
    fn lines(&self, lines: &[String]) -> String {
        let script = self.volumes.0.dir.join("script");
        fs::write(&script, lines.join("\n") + "\nexit\n").unwrap();
        self.run(&["sh", "-c", &format!("exec targetcli <{}", script.display())])
    }

    /// One line of it, as an argument.
    fn line(&self, line: &str) -> String {
        self.run(&["targetcli", line])
    }

    fn run(&self, words: &[&str]) -> String {
        let mut all = vec!["env"];
        all.extend(self.bus.environment.iter().map(String::as_str));
        all.extend(words);
        self.volumes.run(&all)
    }

    /// What has to be refused.
    fn refused(&self, line: &str) -> String {
        let mut all = vec!["env"];
        all.extend(self.bus.environment.iter().map(String::as_str));
        all.extend(["targetcli", line]);
        let output = self.volumes.0.on(self.volumes.0.a(), &all);
        assert!(!output.status.success(), "{line}: {}", text(&output));
        text(&output)
    }
}

#[test]
fn stock_tools_configure() {
    let layout = Layout { disk_mib: 8, ..Layout::default() };
    let volumes = Volumes(Cluster::in_sync("lio-cli", layout));
    volumes.load("target_core_mod");
    let bus = Bus::start(&volumes.0);
    let admin = Admin { volumes, bus };
    let dir = admin.volumes.0.dir.clone();
    let address = IscsiTarget::free_address();
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 23000 + std::process::id() as u16 % 20000));
    let initiator = Initiator {
        chap: Some(Chap { name: "visitor".into(), secret: "a-secret".into(), back: None }),
        ..Initiator::default()
    };
    let group = format!("/iscsi/{TARGET}/tpg1");
    let acl = format!("{group}/acls/{}", initiator.name);
    let image = dir.join("image.img");

    let said = admin.lines(&[
        "set global auto_add_default_portal=false auto_add_mapped_luns=false".into(),
        "/backstores/block create name=replicated dev=/dev/drbd0 wwn=0123abcd".into(),
        "/backstores/block create name=plain dev=/dev/ram0".into(),
        format!("/backstores/fileio create image {} 4M write_back=false", image.display()),
        "/backstores/block/replicated set attribute emulate_3pc=0".into(),
        "/backstores/block/replicated/alua create second 17".into(),
        "/backstores/block/replicated/alua/second set alua alua_access_type=1".into(),
        format!("/iscsi create {TARGET}"),
        format!("{group}/portals create {} {}", address.ip(), address.port()),
        format!("{group}/portals create {} {}", v6.ip(), v6.port()),
        format!("{group}/luns create /backstores/block/replicated 0"),
        format!("{group}/luns create /backstores/fileio/image 1"),
        format!("{group}/luns create /backstores/block/plain 7"),
        format!("{group}/luns/lun0 set alua alua_tg_pt_gp_name=second"),
        format!("{group}/acls create {}", initiator.name),
        format!("{acl} create 0 0"),
        format!("{acl} create 1 1"),
        format!("{acl} create 7 7 1"),
        format!("{acl} set auth userid=visitor password=a-secret"),
        format!("{group} set attribute authentication=1"),
        "saveconfig".into(),
    ]);
    assert!(said.contains("Configuration saved"), "{said}");
    assert!(!fs::exists("/etc/rtslib-fb-target/saveconfig.json").unwrap(), "on the host");
    let saved = admin.run(&["cat", "/etc/rtslib-fb-target/saveconfig.json"]);
    assert!(saved.contains("/dev/drbd0"), "{saved}");
    let wanted = [
        "replicated".to_owned(),
        "/dev/drbd0 (8.0MiB) write-thru activated".to_owned(),
        "4.0MiB) write-thru activated".to_owned(),
        "lun0 block/replicated (rw)".to_owned(),
        "lun7 block/plain (ro)".to_owned(),
        "(/dev/drbd0) (second)".to_owned(),
        format!("{address} "),
        format!("{v6} "),
    ];
    let shown = admin.line("ls");
    for part in &wanted {
        assert!(shown.contains(part), "no {part} in {shown}");
    }

    // It is there for who may.
    assert!(Session::open(address, Some(TARGET), &Initiator::default()).is_err());
    let mut random = Random::new("targetcli");
    let play = |address: SocketAddr, lun: u8, random: &mut Random| {
        let session = Session::open(address, Some(TARGET), &initiator).unwrap();
        let mut unit = Unit::open(session, lun);
        unit.play(random, 50, 8);
        unit.check();
        unit.content
    };
    let content = play(address, 0, &mut random);
    assert_same(&fs::read(admin.volumes.path("dev/drbd0")).unwrap(), &content, "the device");
    let content = play(v6, 1, &mut random);
    assert_same(&fs::read(&image).unwrap(), &content, "the file");
    let mut session = Session::open(v6, Some(TARGET), &initiator).unwrap();
    let refused = session.ask(Command::write(7, 0, 1, vec![1; 512])).unwrap_err().to_string();
    assert!(refused.contains("0x072700"), "write protected: {refused}");
    let told = session.ask(Command::port_groups(0)).unwrap();
    assert_eq!(told[6..8], [0, 17]);
    // What is there already, or in use, is refused in words.
    let again = admin.refused("/backstores/block create name=replicated dev=/dev/ram1");
    assert!(again.contains("exists"), "{again}");
    let in_use = admin.refused("/backstores/block create name=more dev=/dev/drbd0");
    assert!(in_use.contains("in use"), "{in_use}");

    // Away, and back, with sessions open; what was seen is there again.
    admin.run(&["targetctl", "clear"]);
    assert!(session.ask(Command::ready(0)).is_err());
    let shown = admin.line("ls");
    assert!(shown.contains("Targets: 0") && !shown.contains("replicated"), "{shown}");
    let said = admin.run(&["targetctl", "restore"]);
    assert_eq!(said, "");
    let shown = admin.line("ls");
    for part in &wanted {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let content = play(v6, 0, &mut random);
    assert_same(&fs::read(admin.volumes.path("dev/drbd0")).unwrap(), &content, "the device");

    // Piece by piece.
    admin.lines(&[
        format!("{acl} delete 7"),
        format!("{group}/acls delete {}", initiator.name),
        format!("{group}/luns delete 7"),
        format!("{group}/portals delete {} {}", v6.ip(), v6.port()),
        format!("/iscsi delete {TARGET}"),
        "/backstores/fileio delete image".into(),
        "/backstores/block delete plain".into(),
        "/backstores/block delete replicated".into(),
    ]);
    let shown = admin.line("ls");
    assert!(shown.contains("Targets: 0") && !shown.contains("activated"), "{shown}");
    admin.volumes.0.adm(admin.volumes.0.a(), &["secondary", "r0"]);
    admin.volumes.stop();
}
