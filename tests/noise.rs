// SPDX-License-Identifier: GPL-2.0-only
//! Noise on the netlink service of a live node: every record is answered, and nothing else happens.
//!
//! Method: `UMC_RECORDS` records (4000) on one connection to a node whose resource replicates: random bytes; a sound
//! header of DRBD with random attributes, nested ones too; the same with flipped bytes. Half of all are cut short, and say
//! so or not; a few are longer than the node receives. No record names the resource or its minor: one that happened to be
//! a command would be obeyed, and rightly.
//! Checked: each record is answered with its own sequence number, by whole messages of which the last is NLMSG_ERROR (an
//! error or an acknowledgement) or NLMSG_DONE; what cannot be a message is an error. Afterwards the resource is as it
//! was, the tools are answered, and the log has no BUG and no WARNING.
//! To replay: `UMC_SEED=…`, which is printed.

use cluster::netlink::{
    HEADER, NLM_F_DUMP, NLMSG_ERROR, Netlink, attribute, drbd_command, hex, seal,
};
use cluster::{Cluster, Layout, Random};
use umc_protocol::RECORD_MAX;

const NLA_F_NESTED: u16 = 0x8000;
/// DRBD's commands are numbered below this one; its nested attributes too.
const COMMANDS: u64 = 50;
/// Minors from here on are nobody's.
const NOBODYS_MINOR: u64 = 1000;

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
        let mut record = drbd_command(self.family, self.random.below(COMMANDS) as u8, 0);
        if self.random.below(4) == 0 {
            record[6..8].copy_from_slice(&NLM_F_DUMP.to_ne_bytes());
        }
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
    let mut link = Netlink::open(&cluster, node);
    let family = link.family("drbd");
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
