// SPDX-License-Identifier: GPL-2.0-only
//! What a loss of power at any flush leaves below DRBD: dm-log-writes notes each write that reaches the lower disk of either
//! node, and the disk as it was at each flush is put together from that.
//!
//! Checked at each flush on both nodes: after a replay of its journal, the ext4 is clean. Checked on the Primary's at each
//! mark that follows an fsync: the file is there, whole.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use cluster::{Cluster, Layout, Random, Start, assert_same, text};

const FILES: usize = 12;
const DATA_MIB: usize = 16;

fn done(cluster: &Cluster, node: &str, command: &[&str]) -> String {
    let output = cluster.on(node, command);
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A program that ends with one of these statuses.
fn run(words: &[&str], good: &[i32], what: &str) {
    let output = Command::new(words[0]).args(&words[1..]).run().unwrap();
    let is_good = output.status.code().is_some_and(|code| good.contains(&code));
    assert!(is_good, "{what}: {words:?}: {}", text(&output));
}

/// Marks both logs: what was written before is before it.
fn mark(cluster: &Cluster, what: &str) {
    for node in &cluster.nodes {
        done(cluster, node, &["dmsetup", "message", "logged", "0", "mark", what]);
    }
}

/// What is in the files.
fn contents() -> Vec<Vec<u8>> {
    let mut random = Random::new("replay");
    let content = |_| {
        let mut data = vec![0; 1 + random.below(300_000) as usize];
        random.fill(&mut data);
        data
    };
    (0..FILES).map(content).collect()
}

/// What dm-log-writes notes: an entry of one sector, and the data of a write behind it.
struct Log {
    bytes: Vec<u8>,
    at: usize,
    left: u64,
}

const SECTOR: usize = 512;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

enum Entry {
    Write { sector: u64, data: std::ops::Range<usize> },
    Discard { sector: u64, sectors: u64 },
    Mark(String),
}

impl Log {
    fn open(device: &Path) -> Log {
        let bytes = fs::read(device).unwrap();
        let number = |at: usize| u64::from_le_bytes(bytes[at..][..8].try_into().unwrap());
        assert_eq!(number(0), 0x6a_7366_7773_6872, "the magic number");
        assert_eq!(bytes[24..28], 512_u32.to_le_bytes(), "the size of a sector");
        Log { left: number(16), at: SECTOR, bytes }
    }

    /// The next entry, and whether it flushes.
    fn next(&mut self) -> Option<(Entry, bool)> {
        self.left = self.left.checked_sub(1)?;
        let head = &self.bytes[self.at..][..SECTOR];
        let number = |place: usize| u64::from_le_bytes(head[place * 8..][..8].try_into().unwrap());
        let [sector, sectors, flags, len] = [0, 1, 2, 3].map(number);
        let entry = if flags & MARK != 0 {
            Entry::Mark(String::from_utf8_lossy(&head[32..][..len as usize]).into_owned())
        } else if flags & DISCARD != 0 {
            Entry::Discard { sector, sectors }
        } else {
            let from = self.at + SECTOR;
            Entry::Write { sector, data: from..from + sectors as usize * SECTOR }
        };
        self.at += SECTOR;
        if let Entry::Write { data, .. } = &entry {
            self.at = data.end;
        }
        Some((entry, flags & FLUSH != 0))
    }
}

/// Puts the disk together, and looks at it at each flush; at each mark, too, where files are told that are there then. Returns
/// at how many flushes.
fn replay(mut log: Log, dir: &Path, synced: Option<&[Vec<u8>]>) -> u32 {
    let image = dir.join("replayed");
    let path = image.to_str().unwrap();
    let mut disk = vec![0; DATA_MIB << 20];
    let (mut has_fs, mut flushes, mut files) = (false, 0, 0_usize);
    while let Some((entry, is_flush)) = log.next() {
        let mut is_marked = false;
        match entry {
            Entry::Write { sector, data } => {
                disk[sector as usize * SECTOR..][..data.len()].copy_from_slice(&log.bytes[data]);
            }
            Entry::Discard { sector, sectors } => {
                disk[sector as usize * SECTOR..][..sectors as usize * SECTOR].fill(0);
            }
            Entry::Mark(text) if text == "made" => has_fs = true,
            Entry::Mark(text) => is_marked = text.starts_with("file"),
        }
        files += usize::from(is_marked);
        let synced = synced.filter(|_| is_marked);
        if !has_fs || !(is_flush || synced.is_some()) {
            continue;
        }
        flushes += u32::from(is_flush);
        fs::write(&image, &disk).unwrap();
        let what = format!("flush {flushes}, {files} files");
        run(&["e2fsck", "-E", "journal_only", "-y", path], &[0, 1], &what);
        run(&["e2fsck", "-fn", path], &[0], &what);
        if let Some(synced) = synced {
            let out = dir.join("dumped");
            let number = files - 1;
            let dump = format!("dump file{number} {}", out.display());
            run(&["debugfs", "-R", &dump, path], &[0], &what);
            assert_same(&fs::read(&out).unwrap(), &synced[number], &what);
        }
    }
    assert_eq!(files, FILES);
    flushes
}

#[test]
fn a_file_system_is_clean_at_each_flush_of_both_nodes() {
    let contents = contents();
    let cluster = Cluster::new("replay", Layout { disk_mib: 16, ..Layout::default() });
    let conf = fs::read_to_string(cluster.conf()).unwrap();
    fs::write(cluster.conf(), conf.replace("/dev/low0", "/dev/mapper/logged")).unwrap();
    for node in &cluster.nodes {
        let data = format!("ram/,size={DATA_MIB}M");
        cluster.umc_ok(&["disk", "-n", node, "add", "data", &data]);
        cluster.umc_ok(&["disk", "-n", node, "add", "log", "ram/,size=96M"]);
        cluster.umc_ok(&["insmod", "--node", node, "dm-mod"]);
        let table = format!("0 {} log-writes /dev/data /dev/log", DATA_MIB << 11);
        done(&cluster, node, &["dmsetup", "create", "logged", "--table", &table]);
        cluster.adm(node, &["create-md", "--force", "r0"]);
        cluster.adm(node, &["up", "r0"]);
    }
    let node = cluster.a();
    cluster.adm(node, &["primary", "--force", "r0"]);
    cluster.await_dstate("UpToDate/UpToDate");

    let dir = cluster.dir.join("mnt");
    fs::create_dir(&dir).unwrap();
    done(&cluster, node, &["mkfs.ext4", "-q", "/dev/drbd0"]);
    done(&cluster, node, &["mount", "/dev/drbd0", dir.to_str().unwrap()]);
    File::open(&dir).unwrap().sync_all().unwrap();
    mark(&cluster, "made");
    for number in 0..FILES {
        // What is not synced may be there or not, whole or not.
        fs::write(dir.join("other"), &contents[(number + 1) % contents.len()]).unwrap();
        let file = File::create(dir.join(format!("file{number}"))).unwrap();
        file.write_all_at(&contents[number], 0).unwrap();
        file.sync_all().unwrap();
        mark(&cluster, &format!("file{number}"));
    }
    done(&cluster, node, &["umount", dir.to_str().unwrap()]);
    for node in &cluster.nodes {
        cluster.adm(node, &["down", "r0"]);
        done(&cluster, node, &["dmsetup", "remove", "--retry", "logged"]);
        let log = Log::open(&cluster.root(node).join("dev/log"));
        let synced = (*node == cluster.nodes[0]).then_some(&contents[..]);
        let flushes = replay(log, &cluster.dir, synced);
        println!("{node}: clean at {flushes} flushes");
        assert!(flushes as usize >= FILES, "{flushes} flushes for {FILES} files");
    }
    cluster.nodes.iter().for_each(|node| cluster.stop(node));
}
