// SPDX-License-Identifier: GPL-2.0-only
//! What a node that is killed leaves on its disks is what a kernel would leave: arrays and volumes come back with all that
//! was flushed.
//!
//! Goal: what a program wrote and fsync'ed to a thin volume on an array with parity is there after any SIGKILL, and the
//! stock tools put the volumes together again without a hand.
//! Method: `UMC_ROUNDS` rounds (3) on one node: a raid5 on three files, with a bitmap, or with a journal on a fourth; a group of
//! volumes on it, a thin pool, a thin volume. In each round three threads write, each in a third of its own, and fsync now and then; blocks are
//! allocated, some are trimmed, a snapshot is made now and then.
//! Injected: SIGKILL under load, also while the array still resyncs after the one before.
//! Checked: `mdadm --assemble` and `vgchange -ay` put all of it together (thin_check is run by the second); each sector
//! holds the version of the last fsync, or one written since, whole; in the end parity fits everywhere.
//! To replay: `tools/crash --volumes ROUNDS SEED` with the seed that was printed.

use std::fs::{self, File};
use std::time::Duration;

use cluster::versions::{Region, spin, under_load};
use cluster::{Random, Volumes, eventually, text};

const WRITERS: usize = 3;
const MEMBERS: &str = "/dev/m0 /dev/m1 /dev/m2";

/// What makes an array whole that was written when its node died.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mends {
    Bitmap,
    Journal,
}

impl Mends {
    /// How `mdadm --create` is told.
    fn options(self) -> &'static str {
        match self {
            Mends::Bitmap => "--bitmap=internal --bitmap-chunk=64K",
            Mends::Journal => "--write-journal /dev/m3",
        }
    }

    /// All disks of the array.
    fn disks(self) -> String {
        match self {
            Mends::Bitmap => MEMBERS.to_owned(),
            Mends::Journal => format!("{MEMBERS} /dev/m3"),
        }
    }
}

/// A node with volumes, and what it needs to have them again.
struct Host {
    volumes: Volumes,
    mends: Mends,
    /// How each disk is added: its name, what keeps it.
    disks: Vec<[String; 2]>,
}

impl std::ops::Deref for Host {
    type Target = Volumes;

    fn deref(&self) -> &Volumes {
        &self.volumes
    }
}

impl Host {
    fn new(name: &str, mends: Mends) -> Host {
        let volumes = Volumes::new(name, "md-mod");
        let disk = |number: usize| {
            let file = volumes.0.dir.join(format!("member{number}"));
            File::create(&file).unwrap().set_len(32 << 20).unwrap();
            [format!("m{number}"), format!("file/{}", file.display())]
        };
        let count = mends.disks().split(' ').count();
        let host = Host { disks: (0..count).map(disk).collect(), mends, volumes };
        host.add_disks();
        host.load("dm-mod");
        let array =
            format!("--create /dev/md0 --run --level=5 --raid-devices=3 {}", mends.options());
        host.line(&format!("mdadm {array} {MEMBERS}"));
        host.line("pvcreate -y -q /dev/md0");
        host.line("vgcreate -q vg /dev/md0");
        host.line("lvcreate -y -q --type thin-pool -n pool -L 44M --poolmetadatasize 4M vg");
        // The pool has room for it and for one snapshot that differs everywhere.
        host.line("lvcreate -y -q -V 20M --thin -n thin vg/pool");
        host
    }

    fn load(&self, module: &str) {
        self.0.umc_ok(&["insmod", "--node", self.0.a(), module]);
    }

    fn add_disks(&self) {
        for [name, spec] in &self.disks {
            self.0.umc_ok(&["disk", "-n", self.0.a(), "add", name, spec]);
        }
    }

    /// Starts the node again, and has the stock tools find what there was.
    fn come_back(&self) {
        self.0.start(self.0.a());
        self.add_disks();
        self.load("md-mod");
        self.load("dm-mod");
        self.line(&format!("mdadm --assemble /dev/md0 {}", self.mends.disks()));
        self.line("vgchange -q -ay vg");
    }

    fn open(&self) -> File {
        let device = self.path("dev/mapper/vg-thin");
        File::options().read(true).write(true).open(device).expect("the volume opens")
    }

    fn check(&self, regions: &mut [Region]) {
        let disk = fs::read(self.path("dev/mapper/vg-thin")).expect("the volume can be read");
        regions.iter_mut().for_each(|region| region.check(&disk, "the thin volume"));
    }
}

fn mdstat(host: &Host) -> String {
    fs::read_to_string(host.path("proc/mdstat")).unwrap()
}

fn action(host: &Host) -> String {
    fs::read_to_string(host.path("sys/block/md0/md/sync_action")).unwrap().trim().to_owned()
}

#[test]
fn no_flushed_write_is_lost_under_volumes() {
    crash("crashv", Mends::Bitmap);
}

#[test]
fn no_flushed_write_is_lost_under_volumes_with_a_journal() {
    crash("crashj", Mends::Journal);
}

fn crash(name: &str, mends: Mends) {
    let rounds: u64 =
        std::env::var("UMC_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let mut random = Random::new(name);
    let host = Host::new(name, mends);
    let mut regions = Region::share(20 << 20, WRITERS, &mut random);
    let mut under_resync = 0;
    for round in 0..rounds {
        let after = random.below(300);
        let delay = Duration::from_micros(random.below(3000));
        under_load(&mut regions, &host.open(), after, || {
            // The moment is the point: not when a write has just ended.
            spin(delay);
            host.0.kill(host.0.a());
        });
        host.come_back();
        host.check(&mut regions);
        match random.below(3) {
            // The next kill meets a resync.
            0 => under_resync += 1,
            1 => eventually("the array is whole", || action(&host) == "idle"),
            _ => {
                let _ = host.0.on(host.0.a(), &["lvremove", "-y", "-q", "vg/copy"]);
                let made =
                    host.0.on(host.0.a(), &["lvcreate", "-q", "-s", "-n", "copy", "vg/thin"]);
                assert!(made.status.success(), "a snapshot: {}", text(&made));
            }
        }
        println!("round {round} of {rounds}: {} regions as they have to be", regions.len());
    }
    println!("{rounds} kills, {under_resync} of them perhaps under a resync");
    eventually("the array is whole", || action(&host) == "idle");
    assert!(mdstat(&host).contains("[UUU]"), "{}", mdstat(&host));
    fs::write(host.path("sys/block/md0/md/sync_action"), "check").unwrap();
    eventually("it is compared", || action(&host) == "idle");
    let differ = fs::read_to_string(host.path("sys/block/md0/md/mismatch_cnt")).unwrap();
    assert_eq!(differ.trim(), "0", "parity that fits nothing");
    host.stop();
}
