// SPDX-License-Identifier: GPL-2.0-only
//! What makes no sense to drivers of volumes is refused with their own errors, and the node goes on.

use std::os::unix::fs::FileExt;

use cluster::{Volumes, eventually};

/// Says the errno of an ioctl on a device of the node: number and argument are numbers.
const ASK: &str = "import fcntl, os, sys
try:
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), int(sys.argv[2], 0), int(sys.argv[3], 0))
    print('done')
except OSError as error:
    print(os.strerror(error.errno))";

/// `DM_VERSION`, `GET_ARRAY_INFO` of md, and a number of nobody's.
const DM_VERSION: &str = "0xc138fd00";
const GET_ARRAY_INFO: &str = "0x80480911";
const NOBODYS: &str = "0x40045a7b";
/// An address that no process has.
const NOWHERE: &str = "0x10";

fn ask(host: &Volumes, device: &str, number: &str, argument: &str) -> String {
    host.run(&["python3", "-c", ASK, device, number, argument])
}

#[test]
fn volumes_refuse_what_makes_no_sense() {
    let host = Volumes::new("volumes-bad", "dm-mod");
    let node = host.0.a();
    host.0.umc_ok(&["insmod", "--node", node, "md-mod"]);

    // Tables: a device that there is not, more than there is, a target of nobody's, words that say nothing.
    for table in [
        "0 8 linear /dev/nothing 0",
        "0 8 linear 259:99 0",
        "0 99999999 linear /dev/ram0 0",
        "0 8 imaginary /dev/ram0 0",
        "0 8 linear /dev/ram0 soon",
        "8 8 linear /dev/ram0 0",
    ] {
        host.refused(&["dmsetup", "create", "wrong", "--table", table]);
        // What was made before its table was refused is taken away by dmsetup.
        assert!(host.line("dmsetup ls").contains("No devices"), "{table}");
    }

    // A pool whose metadata are none, and an array whose superblocks were written over.
    host.open("ram1").write_all_at(&[0x5a; 8192], 0).unwrap();
    host.refused(&[
        "dmsetup",
        "create",
        "pool",
        "--table",
        "0 8192 thin-pool /dev/ram1 /dev/ram2 128 0",
    ]);
    let members = "/dev/ram2 /dev/ram3";
    host.line(&format!("mdadm --create /dev/md0 --run --level=1 --raid-devices=2 {members}"));
    let state = || std::fs::read_to_string(host.path("proc/mdstat")).unwrap();
    eventually("the disks are the same", || {
        state().contains("[UU]") && !state().contains("resync")
    });

    // Ioctls of nobody's, and of somebody's with memory of nobody's.
    for device in ["/dev/mapper/control", "/dev/md0", "/dev/ram0"] {
        assert_eq!(ask(&host, device, NOBODYS, "0"), "Inappropriate ioctl for device", "{device}");
    }
    assert_eq!(ask(&host, "/dev/mapper/control", DM_VERSION, NOWHERE), "Bad address");
    assert_eq!(ask(&host, "/dev/md0", GET_ARRAY_INFO, NOWHERE), "Bad address");

    host.line("mdadm --stop /dev/md0");
    for member in ["ram2", "ram3"] {
        // The second half of a superblock of version 1.2, which its checksum covers.
        host.open(member).write_all_at(&[0xff; 64], 4096 + 128).unwrap();
    }
    let words = format!("mdadm --assemble /dev/md0 {members}");
    let refused = host.refused(&words.split(' ').collect::<Vec<_>>());
    assert!(refused.contains("/dev/ram2"), "{refused}");

    // Who dies inside of an ioctl holds nothing up.
    host.run(&["dmsetup", "create", "zero", "--table", "0 8 zero"]);
    let mut waits = host.waiting(&["dmsetup", "wait", "zero"]);
    waits.kill().unwrap();
    waits.wait().unwrap();
    host.line("dmsetup remove zero");
    let log = host.0.umc_ok(&["dmesg", node]);
    assert!(!log.contains("BUG:") && !log.contains("WARNING:"), "{log}");
    host.stop();
}
