// SPDX-License-Identifier: GPL-2.0-only
//! Several ways to one unit of an iSCSI target: connections of a session, and groups of ports with a state each (ALUA).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use cluster::{IscsiTarget, Volumes, assert_same};
use iscsi::{Command, Initiator, Session};

const TARGET: &str = "iqn.2026-11.org.test:one";
const OTHER: &str = "iqn.2026-11.org.test:other";
/// Blocks that are used, of 512 bytes.
const BLOCKS: u64 = 64;

/// What a block holds.
fn content(block: u64, version: u8) -> Vec<u8> {
    [block as u8, version].repeat(256)
}

/// Has each session write every other block, all at once, and then read those of the other one.
fn write_across(sessions: &mut [&mut Session; 2], version: u8) {
    let mut tasks = Vec::new();
    for block in 0..BLOCKS {
        let write = Command::write(0, block, 1, content(block, version));
        sessions[block as usize % 2].submit(write).unwrap();
        if block % 16 == 15 {
            for session in sessions.iter_mut() {
                while session.depth() > 0 {
                    session.complete().unwrap().ok().unwrap();
                }
            }
        }
    }
    for block in 0..BLOCKS {
        let session = &mut sessions[(block as usize + 1) % 2];
        tasks.push((session.submit(Command::read(0, block, 1, 512)).unwrap(), block));
        if block % 16 == 15 {
            for session in sessions.iter_mut() {
                while session.depth() > 0 {
                    let answer = session.complete().unwrap();
                    let (_, block) = tasks.iter().find(|(task, _)| *task == answer.task).unwrap();
                    let wanted = content(*block, version);
                    assert_same(&answer.ok().unwrap(), &wanted, &format!("block {block}"));
                }
            }
        }
    }
}

/// Two connections of one session: commands have one order over both; one that is left goes without the other, one that breaks
/// takes it along, since there is no recovery (ErrorRecoveryLevel 0).
#[test]
fn connections_of_a_session() {
    let volumes = Volumes::new("lio-mcs", "target_core_mod");
    let target = IscsiTarget::new(&volumes.0, volumes.0.a(), TARGET);
    IscsiTarget::set(&target.group().join("param/MaxConnections"), "2");
    let address = target.export("/dev/ram0");
    let initiator = Initiator { connections: 2, ..Initiator::default() };
    let open = || {
        let mut session = Session::open(address, Some(TARGET), &initiator).unwrap();
        session.ask(Command::ready(0)).unwrap();
        session
    };
    let join = |session: &Session, number| session.join(address, TARGET, &initiator, number);

    let mut first = open();
    let mut second = join(&first, 1).unwrap();
    write_across(&mut [&mut first, &mut second], 1);
    let refused = join(&first, 2).err().expect("two are enough").to_string();
    assert!(refused.contains("refused with 02"), "{refused}");

    // The later command comes first, and waits for the earlier one.
    for round in 0..8 {
        let (early, late) = (first.take_number(), first.take_number());
        second.submit_as(late, Command::read(0, 3, 1, 512)).unwrap();
        first.submit_as(early, Command::write(0, 3, 1, content(3, 100 + round))).unwrap();
        let read = second.complete().unwrap().ok().unwrap();
        first.complete().unwrap().ok().unwrap();
        assert_same(&read, &content(3, 100 + round), "a read behind a write");
    }

    // One says farewell, and the other goes on; there is room for a new one.
    second.leave().unwrap();
    first.ask(Command::write(0, 7, 1, content(7, 9))).unwrap();
    assert_eq!(first.ask(Command::read(0, 7, 1, 512)).unwrap(), content(7, 9));
    let mut second = join(&first, 2).unwrap();
    write_across(&mut [&mut first, &mut second], 2);

    // The same of the one that came first.
    first.leave().unwrap();
    second.ask(Command::write(0, 8, 1, content(8, 9))).unwrap();
    let mut first = join(&second, 0).unwrap();
    write_across(&mut [&mut first, &mut second], 3);

    // One breaks, which ends the session.
    second.cut();
    let ended = (0..).find_map(|_| first.run(Command::ready(0)).err());
    println!("the other connection: {}", ended.expect("it ends"));
    assert!(join(&first, 1).is_err(), "there is no such session any more");
    let mut session = open();
    assert_eq!(session.ask(Command::read(0, 5, 1, 512)).unwrap(), content(5, 3));
    // The node ends with two connections open.
    let _second = join(&session, 1).unwrap();
    volumes.stop();
}

/// States of a group of ports.
const OPTIMIZED: u8 = 0;
const NON_OPTIMIZED: u8 = 1;
const STANDBY: u8 = 2;
const UNAVAILABLE: u8 = 3;
/// How commands fail.
const IN_STANDBY: u32 = 0x02_040b;
const IS_UNAVAILABLE: u32 = 0x02_040c;
const STATE_CHANGED: u32 = 0x06_2a06;
const NO_SUCH_COMMAND: u32 = 0x05_2000;
const WRONG_PARAMETER: u32 = 0x05_2600;

/// The groups that a unit reports with their states, in the order of their numbers.
fn groups(session: &mut Session) -> Vec<(u16, u8)> {
    let told = session.ask(Command::port_groups(0)).unwrap();
    let len = u32::from_be_bytes(told[..4].try_into().unwrap()) as usize;
    let mut rest = &told[4..4 + len];
    let mut groups = Vec::new();
    while !rest.is_empty() {
        groups.push((u16::from_be_bytes([rest[2], rest[3]]), rest[0] & 15));
        rest = &rest[8 + 4 * usize::from(rest[7])..];
    }
    groups.sort_unstable();
    groups
}

/// How a command fails, its news of a changed state passed over.
fn sense(session: &mut Session, command: &Command) -> u32 {
    let mut senses = (0..).map(|_| session.run(command.clone()).unwrap().sense);
    senses.find(|sense| *sense != STATE_CHANGED).unwrap()
}

/// One unit by two targets, the second one in a group of its own, whose state is set on the node and by initiators.
#[test]
fn groups_of_ports() {
    let volumes = Volumes::new("lio-alua", "target_core_mod");
    let target = IscsiTarget::new(&volumes.0, volumes.0.a(), TARGET);
    let address = target.export("/dev/ram0");
    let other = IscsiTarget::new(&volumes.0, volumes.0.a(), OTHER);
    let unit = other.group().join("lun/lun_0");
    fs::create_dir(&unit).unwrap();
    symlink(target.store("iblock", "unit0"), unit.join("store")).unwrap();
    let way = SocketAddr::new(address.ip(), 3261);
    other.add_portal(way);
    other.enable(true);
    let group = target.store("iblock", "unit0").join("alua/second");
    fs::create_dir(&group).unwrap();
    IscsiTarget::set(&group.join("tg_pt_gp_id"), "17");
    IscsiTarget::set(&group.join("alua_access_type"), "3");
    IscsiTarget::set(&unit.join("alua_tg_pt_gp"), "second");
    let state = |state: u8| {
        IscsiTarget::set(&group.join("alua_access_state"), &state.to_string());
    };
    let open = |address: SocketAddr, target: &str| {
        let mut session = Session::open(address, Some(target), &Initiator::default()).unwrap();
        session.ask(Command::ready(0)).unwrap();
        session
    };
    let (mut one, mut two) = (open(address, TARGET), open(way, OTHER));
    // What it can is told, and which group one asks.
    assert_eq!(two.ask(Command::inquiry(0, None)).unwrap()[5] & 0x30, 0x30);
    let names = two.ask(Command::inquiry(0, Some(0x83))).unwrap();
    assert!(names.windows(7).any(|part| part == [0x95, 0, 4, 0, 0, 0, 17]), "{names:x?}");
    assert_eq!(groups(&mut one), [(0, OPTIMIZED), (17, OPTIMIZED)]);

    let write = Command::write(0, 1, 1, content(1, 1));
    two.ask(write.clone()).unwrap();
    for (now, answer) in
        [(NON_OPTIMIZED, 0), (STANDBY, IN_STANDBY), (UNAVAILABLE, IS_UNAVAILABLE), (OPTIMIZED, 0)]
    {
        state(now);
        // Who comes by the group hears of it.
        assert_eq!(two.run(Command::ready(0)).unwrap().sense, STATE_CHANGED);
        assert_eq!(groups(&mut two), [(0, OPTIMIZED), (17, now)]);
        assert_eq!(groups(&mut one), [(0, OPTIMIZED), (17, now)]);
        assert_eq!(sense(&mut two, &write), answer);
        assert_eq!(sense(&mut two, &Command::read(0, 1, 1, 512)), answer);
        // What it is can be asked all the same, and the other way is as it was.
        two.ask(Command::inquiry(0, None)).unwrap();
        one.ask(Command::write(0, 2, 1, content(2, now))).unwrap();
    }
    assert_eq!(two.ask(Command::read(0, 2, 1, 512)).unwrap(), content(2, OPTIMIZED));

    by_initiators(&mut one, &mut two, &group);
    volumes.stop();
}

/// Initiators set states where the group says that they may.
fn by_initiators(one: &mut Session, two: &mut Session, group: &Path) {
    let to_standby = Command::set_port_group(0, 17, STANDBY);
    assert_eq!(sense(two, &to_standby), 0);
    assert_eq!(groups(one), [(0, OPTIMIZED), (17, STANDBY)]);
    let shown = fs::read_to_string(group.join("alua_access_state")).unwrap();
    assert_eq!(shown.trim(), STANDBY.to_string());
    assert_eq!(sense(two, &Command::read(0, 1, 1, 512)), IN_STANDBY);
    assert_eq!(sense(two, &Command::set_port_group(0, 17, OPTIMIZED)), 0);
    assert_eq!(sense(two, &Command::read(0, 1, 1, 512)), 0);
    assert_eq!(sense(two, &Command::set_port_group(0, 18, STANDBY)), WRONG_PARAMETER);
    // Only the node; then only initiators.
    IscsiTarget::set(&group.join("alua_access_type"), "1");
    assert_eq!(sense(two, &to_standby), NO_SUCH_COMMAND);
    IscsiTarget::set(&group.join("alua_access_type"), "2");
    let refused = fs::write(group.join("alua_access_state"), "2").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(groups(one), [(0, OPTIMIZED), (17, OPTIMIZED)]);
}
