//! Noise on the netlink service of a live node: every record is answered, and nothing else happens.
//!
//! Method: `UMC_RECORDS` records (4000) on one connection to a node whose resource replicates. A quarter each: random
//! bytes; whole commands of DRBD cut short; whole commands with flipped bytes; a sound header of DRBD with random
//! attributes, nested ones too. A few are longer than the node receives, or than they say. No record names the resource
//! or its minor: one that happened to be a command would be obeyed, and rightly.
//! Checked: each record is answered with its own sequence number, by whole messages of which the last is NLMSG_ERROR (an
//! error or an acknowledgement) or NLMSG_DONE; what cannot be a message is an error. Afterwards the resource is as it
//! was, the tools are answered, and the log has no BUG and no WARNING.
//! To replay: `UMC_SEED=…`, which is printed.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

use cluster::{Cluster, Layout, Random};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;
use umc_protocol::RECORD_MAX;

const HEADER: usize = 16;
/// `struct genlmsghdr`, and `struct drbd_genlmsghdr` behind it.
const DRBD_HEADER: usize = HEADER + 4 + 8;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// NLM_F_REQUEST | NLM_F_ACK.
const ASK: u16 = 5;
const NLM_F_DUMP: u16 = 0x300;
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NLA_F_NESTED: u16 = 0x8000;
/// DRBD's commands are numbered below this one; its nested attributes too.
const COMMANDS: u64 = 50;
/// Minors from here on are nobody's.
const NOBODYS_MINOR: u64 = 1000;

struct Link {
    socket: OwnedFd,
    buf: Vec<u8>,
}

/// The last message of an answer, and how many messages came before it.
struct Answer {
    kind: u16,
    error: i32,
    earlier: Vec<Vec<u8>>,
}

impl Link {
    fn new(cluster: &Cluster, node: &str) -> Link {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        let control = cluster.root(node).with_file_name("control");
        connect(socket.as_raw_fd(), &UnixAddr::new(&control).unwrap()).unwrap();
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(10, 0)).unwrap();
        setsockopt(&socket, sockopt::SndBufForce, &(4 * RECORD_MAX)).unwrap();
        let link = Link { socket, buf: vec![0; 1 << 20] };
        link.send(&umc_protocol::HELLO_GENL);
        link
    }

    fn send(&self, record: &[u8]) {
        let parts = [IoSlice::new(record)];
        let sent = sendmsg::<()>(self.socket.as_raw_fd(), &parts, &[], MsgFlags::empty(), None);
        assert_eq!(sent, Ok(record.len()), "the node ended the connection");
    }

    /// What the record is answered with.
    fn ask(&mut self, record: &[u8]) -> Answer {
        self.send(record);
        let mut head = [0; HEADER];
        let len = record.len().min(HEADER);
        head[..len].copy_from_slice(&record[..len]);
        let mut earlier = Vec::new();
        loop {
            let len = recv(self.socket.as_raw_fd(), &mut self.buf, MsgFlags::empty())
                .unwrap_or_else(|error| panic!("no answer ({error}) to {}", hex(record)));
            assert!(len > 0, "the node ended the connection after {}", hex(record));
            let mut rest = &self.buf[..len];
            while !rest.is_empty() {
                let len = number(rest, 0) as usize;
                assert!((HEADER..=rest.len()).contains(&len), "an answer that is no message");
                assert_eq!(
                    rest[8..12],
                    head[8..12],
                    "an answer to something else: {}",
                    hex(record)
                );
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                if kind == NLMSG_ERROR || kind == NLMSG_DONE {
                    let error = number(rest, HEADER) as i32;
                    return Answer { kind, error, earlier };
                }
                earlier.push(rest[..len].to_vec());
                rest = &rest[len.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(256).map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u16 + 4).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Writes the length into the header, and what makes every record one that is answered.
fn seal(record: &mut [u8], seq: u32) {
    let len = record.len() as u32;
    record[..4].copy_from_slice(&len.to_ne_bytes());
    let flags = u16::from_ne_bytes([record[6], record[7]]) & NLM_F_DUMP | ASK;
    record[6..8].copy_from_slice(&flags.to_ne_bytes());
    record[8..12].copy_from_slice(&seq.to_ne_bytes());
}

struct Noise {
    random: Random,
    family: u16,
}

impl Noise {
    fn bytes(&mut self, longest: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.random.below(longest + 1) as usize];
        self.random.fill(&mut bytes);
        bytes
    }

    fn attributes(&mut self, depth: u32) -> Vec<u8> {
        let mut all = Vec::new();
        for _ in 0..self.random.below(5) {
            let body = match self.random.below(4) {
                0 | 1 if depth > 0 => self.attributes(depth - 1),
                2 => self.random.below(1 << 20).to_ne_bytes()[..4].to_vec(),
                _ => self.bytes(40),
            };
            let nested = if self.random.below(2) == 0 { NLA_F_NESTED } else { 0 };
            let mandatory = if self.random.below(4) == 0 { 0x4000 } else { 0 };
            let kind = self.random.below(COMMANDS) as u16 | nested | mandatory;
            let mut one = attribute(kind, &body);
            if self.random.below(8) == 0 {
                // A length that lies.
                let len = self.random.number() as u16;
                one[..2].copy_from_slice(&len.to_ne_bytes());
            }
            all.extend(one);
        }
        all
    }

    /// A command of DRBD with a sound header, for a minor that nobody has.
    fn command(&mut self) -> Vec<u8> {
        let mut record = vec![0; DRBD_HEADER];
        record[4..6].copy_from_slice(&self.family.to_ne_bytes());
        if self.random.below(4) == 0 {
            record[6..8].copy_from_slice(&NLM_F_DUMP.to_ne_bytes());
        }
        record[HEADER] = self.random.below(COMMANDS) as u8;
        record[HEADER + 1] = 1;
        self.move_away(&mut record);
        record.extend(self.attributes(2));
        record
    }

    fn move_away(&mut self, record: &mut [u8]) {
        if let Some(minor) = record.get_mut(HEADER + 4..HEADER + 8) {
            let nobodys = NOBODYS_MINOR + self.random.below(1 << 30);
            minor.copy_from_slice(&(nobodys as u32).to_ne_bytes());
        }
    }

    /// A record, and whether it can be no message at all.
    fn record(&mut self, seq: u32) -> (Vec<u8>, bool) {
        let mut record = match self.random.below(64) {
            0 => vec![0x10; RECORD_MAX + 1 + self.random.below(1000) as usize],
            1..=16 => {
                let mut noise = self.bytes(300);
                // An empty record is the end of a connection, and those to join and to leave a group are not answered.
                noise.resize(noise.len().max(1), 0);
                if let Some(kind) = noise.get_mut(4..6).filter(|kind| kind[1] == 0x0f) {
                    kind[1] = 0;
                }
                self.move_away(&mut noise);
                noise
            }
            17..=40 => self.command(),
            _ => {
                let mut flipped = self.command();
                for _ in 0..1 + self.random.below(4) {
                    let at = HEADER as u64 + self.random.below((flipped.len() - HEADER) as u64);
                    flipped[at as usize] = self.random.number() as u8;
                }
                self.move_away(&mut flipped);
                flipped
            }
        };
        if record.len() < HEADER {
            return (record, true);
        }
        seal(&mut record, seq);
        if record.len() > RECORD_MAX {
            return (record, true);
        }
        match self.random.below(4) {
            // Cut short, and it does not know.
            0 => {
                let kept = HEADER + self.random.below((record.len() - HEADER + 1) as u64) as usize;
                let is_cut = kept < record.len();
                record.truncate(kept);
                (record, is_cut)
            }
            // Cut short, and it says so.
            1 => {
                let kept = HEADER + self.random.below((record.len() - HEADER + 1) as u64) as usize;
                record.truncate(kept);
                seal(&mut record, seq);
                (record, false)
            }
            _ => (record, false),
        }
    }
}

fn family_of_drbd(link: &mut Link) -> u16 {
    let mut record = vec![0; HEADER];
    record[4..6].copy_from_slice(&GENL_ID_CTRL.to_ne_bytes());
    record.extend([CTRL_CMD_GETFAMILY, 1, 0, 0]);
    record.extend(attribute(CTRL_ATTR_FAMILY_NAME, b"drbd\0"));
    seal(&mut record, 1);
    let answer = link.ask(&record);
    assert_eq!((answer.kind, answer.error), (NLMSG_ERROR, 0));
    let mut rest = &answer.earlier[0][HEADER + 4..];
    while u16::from_ne_bytes([rest[2], rest[3]]) != CTRL_ATTR_FAMILY_ID {
        rest = &rest[usize::from(u16::from_ne_bytes([rest[0], rest[1]])).next_multiple_of(4)..];
    }
    u16::from_ne_bytes([rest[4], rest[5]])
}

#[test]
fn noise_is_answered_and_changes_nothing() {
    let records = std::env::var("UMC_RECORDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4000);
    let cluster = Cluster::in_sync("noise", Layout { disk_mib: 16, ..Layout::default() });
    let node = cluster.a();
    let shown = |command: &[&str]| {
        let output = cluster.on(node, command);
        assert!(output.status.success(), "{}", cluster::text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let before = shown(&["drbdsetup", "show", "r0"]);
    let mut link = Link::new(&cluster, node);
    let family = family_of_drbd(&mut link);
    let mut noise = Noise { random: Random::new("noise"), family };
    let (mut errors, mut shown_things) = (0, 0);
    for seq in 2..2 + records {
        let (record, is_none) = noise.record(seq);
        let answer = link.ask(&record);
        if is_none {
            assert_eq!(answer.kind, NLMSG_ERROR, "{}", hex(&record));
            assert!(answer.error < 0 && answer.earlier.is_empty(), "obeyed: {}", hex(&record));
        }
        errors += u32::from(answer.error < 0);
        shown_things += answer.earlier.len();
    }
    println!("{records} records: {errors} refused, {shown_things} messages of other answers");
    assert!(errors > records / 4, "the noise is none");

    assert_eq!(cluster.adm(node, &["role", "r0"]), "Primary/Secondary");
    assert_eq!(cluster.adm(node, &["dstate", "r0"]), "UpToDate/UpToDate");
    assert_eq!(cluster.adm(node, &["cstate", "r0"]), "Connected");
    assert_eq!(shown(&["drbdsetup", "show", "r0"]), before);
    for name in &cluster.nodes {
        let log = cluster.umc_ok(&["dmesg", name]);
        for word in ["BUG", "WARNING", "ASSERT", "hung"] {
            assert!(!log.contains(word), "{word} in the log of {name}:\n{log}");
        }
    }
    cluster.down();
}
