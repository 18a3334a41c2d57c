// SPDX-License-Identifier: GPL-2.0-only
//! Drivers known by name: all that anybody here has to know of one is its entry.

use std::collections::BTreeSet;

/// Some files of a package's archive, and where they go in the build directory.
pub struct Files {
    /// A path inside the archive, below its top directory, in the order in which they stand there. A trailing `/` takes the
    /// whole directory.
    pub from: &'static str,
}

/// A driver that `umc build NAME` knows.
pub struct Driver {
    /// Its name, and that of its main module.
    pub name: &'static str,
    /// The Debian package with its source.
    pub package: &'static str,
    /// The package's archive.
    pub archive: &'static str,
    /// Other drivers whose modules some of its modules link to: they are built before.
    pub on: &'static [&'static str],
    /// What is taken out of the archive, with the paths it has there.
    pub files: &'static [Files],
    /// Files of ours that tell Kbuild what to build: path in the build directory, text.
    pub kbuild: &'static [(&'static str, &'static str)],
    /// The modules that come out, in load order: name, and path below the build directory without extension.
    pub modules: &'static [(&'static str, &'static str)],
    /// How a node that ends takes down what the driver has up; empty when unloading it is enough.
    pub take_down: &'static [TakeDown],
    /// What the udev rules of its tools do for its devices.
    pub udev: Option<Udev>,
    /// What its devices that udev names by what lies on them are called in `/proc/devices`.
    pub named_by_content: &'static [&'static str],
    /// Its names, and those of its tools, that are a node's at all times, so that a program on the node never meets the
    /// host's driver of that name.
    pub names: &'static [Names],
}

/// Names in one directory. A `*` at the end of a name stands for any rest, `[0-9]*` for one that begins with a digit.
pub struct Names {
    /// Their directory.
    pub dir: &'static str,
    /// What they are called.
    pub names: &'static [&'static str],
    /// What of the node's they are.
    pub owner: NameOwner,
}

/// What of the node's a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOwner {
    /// The same name in its tree.
    Node,
    /// The node's own directory of this name stands for each of the names.
    StateDir(&'static str),
    /// The names lie in the node's own directory of this name.
    StateIn(&'static str),
}

const fn names(dir: &'static str, names: &'static [&'static str], owner: NameOwner) -> Names {
    Names { dir, names, owner }
}

/// Where the further names of a driver's devices come from.
pub struct Udev {
    /// The stock command that prints `VARIABLE=value` for a device: program and arguments, `{}` stands for the minor
    /// number.
    pub command: &'static [&'static str],
    /// Links below `/dev`. Of each list those are made whose variable is set, of the first entry in which one is.
    pub links: &'static [&'static [&'static [Link]]],
}

/// A link, or several with spaces between, that a variable stands for.
pub struct Link {
    pub variable: &'static str,
    /// The directory below `/dev`, with a slash at its end; or empty.
    pub dir: &'static str,
    /// How the value begins; others are passed over.
    pub prefix: &'static str,
}

const fn link(variable: &'static str, dir: &'static str, prefix: &'static str) -> Link {
    Link { variable, dir, prefix }
}

/// How what a driver has up is found.
#[derive(Clone, Copy)]
pub enum Each {
    /// A directory of the node's tree with a directory for everything that is up.
    Dir(&'static str),
    /// The same, but for directories of these names, which nobody made.
    DirBut(&'static str, &'static [&'static str]),
    /// The disks under this name in `/proc/devices`.
    Disk(&'static str),
    /// Those of them whose directory in sysfs has this entry.
    DiskWith(&'static str, &'static str),
}

/// The way to take down what a driver has up, one by one.
pub struct TakeDown {
    /// What is up.
    pub each: Each,
    /// The stock command that takes one of them down: program and arguments, `{}` stands for its name.
    pub command: &'static [&'static str],
}

/// Takes a tree of configfs away, `$1`: what is on is switched off, then links go, then what was made by mkdir, from below. What
/// belongs to its directory cannot be removed by itself and goes with it. Says why when the tree is still there.
const CLEAR_CONFIGFS: &str = "find \"$1\" -type f -name enable | while IFS= read -r f; do echo 0 >\"$f\"; done 2>/dev/null; \
     find \"$1\" -type l -delete; \
     find \"$1\" -mindepth 1 -depth -type d | while IFS= read -r d; do rmdir \"$d\"; done 2>/dev/null; \
     rmdir \"$1\"";

/// [`CLEAR_CONFIGFS`] for each directory in one. Names are the user's: they are an argument, not part of the script.
macro_rules! clear {
    ($dir:literal, $($but:literal),*) => {
        TakeDown {
            each: Each::DirBut($dir, &[$($but),*]),
            command: &["sh", "-c", CLEAR_CONFIGFS, "sh", concat!($dir, "/{}")],
        }
    };
    ($dir:literal) => { clear!($dir,) };
}

const fn file(from: &'static str) -> Files {
    Files { from }
}

use NameOwner::{Node, StateDir, StateIn};

/// All of them.
pub const DRIVERS: &[Driver] = &[DRBD, BRD, NBD, NULL_BLK, DM, MD, LOOP, BCACHE, NVMET, NVME, LIO];

const DRBD: Driver = Driver {
    name: "drbd",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("drivers/block/drbd/"),
        file("lib/lru_cache.c"),
        file("include/linux/drbd.h"),
        file("include/linux/drbd_config.h"),
        file("include/linux/drbd_genl.h"),
        file("include/linux/drbd_genl_api.h"),
        file("include/linux/drbd_limits.h"),
        file("include/linux/genl_magic_func.h"),
        file("include/linux/genl_magic_struct.h"),
        file("include/linux/lru_cache.h"),
    ],
    kbuild: &[
        ("Kbuild", include_str!("../drbd/Kbuild")),
        ("lib/Kbuild", include_str!("../lru_cache/Kbuild")),
    ],
    modules: &[("lru_cache", "lib/lru_cache"), ("drbd", "drivers/block/drbd/drbd")],
    take_down: &[TakeDown {
        each: Each::Dir("/sys/kernel/debug/drbd/resources"),
        command: &["drbdsetup", "down", "{}"],
    }],
    // 65-drbd.rules of drbd-utils; which variables there are depends on its version.
    udev: Some(Udev {
        command: &["drbdadm", "sh-udev", "minor-{}"],
        links: &[
            &[
                &[link("SYMLINK_BY_DISK", "", ""), link("SYMLINK_BY_RES", "", "")],
                &[link("SYMLINK", "", "")],
                &[link("DISK", "drbd/by-disk/", ""), link("RESOURCE", "drbd/by-res/", "")],
            ],
            &[&[link("DEVICE", "", "drbd_")]],
        ],
    }),
    named_by_content: &[],
    names: &[
        names("/dev", &["drbd*"], Node),
        names("/proc", &["drbd"], Node),
        names("/sys/kernel/debug", &["drbd"], Node),
        names("/var/lib", &["drbd"], StateDir("lib-drbd")),
        names("/var/lib", &["drbd-*"], StateIn("lib")),
        names("/var/run", &["drbd"], StateDir("run-drbd")),
        names("/run", &["drbd"], StateDir("run-drbd")),
        names("/var/lock", &["drbd", "drbd-*"], StateIn("lock")),
        names("/run/lock", &["drbd", "drbd-*"], StateIn("lock")),
        names("/var/run/lock", &["drbd", "drbd-*"], StateIn("lock")),
    ],
};

const BRD: Driver = Driver {
    name: "brd",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[file("drivers/block/brd.c")],
    kbuild: &[("Kbuild", include_str!("../brd/Kbuild"))],
    modules: &[("brd", "drivers/block/brd")],
    take_down: &[],
    udev: None,
    named_by_content: &[],
    names: &[names("/dev", &["ram[0-9]*"], Node)],
};

const NBD: Driver = Driver {
    name: "nbd",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("drivers/block/nbd.c"),
        file("include/trace/events/nbd.h"),
        file("include/uapi/linux/nbd.h"),
        file("include/uapi/linux/nbd-netlink.h"),
    ],
    kbuild: &[("Kbuild", include_str!("../nbd/Kbuild"))],
    modules: &[("nbd", "drivers/block/nbd")],
    take_down: &[TakeDown {
        each: Each::Dir("/sys/kernel/debug/nbd"),
        command: &["nbd-client", "-d", "/dev/{}"],
    }],
    udev: None,
    named_by_content: &["nbd"],
    names: &[names("/dev", &["nbd[0-9]*"], Node)],
};

const NULL_BLK: Driver = Driver {
    name: "null_blk",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[file("drivers/block/null_blk/")],
    kbuild: &[("Kbuild", include_str!("../null_blk/Kbuild"))],
    modules: &[("null_blk", "drivers/block/null_blk/null_blk")],
    // Those that a parameter made go with the module.
    take_down: &[TakeDown {
        each: Each::Dir("/sys/kernel/config/nullb"),
        command: &["rmdir", "/sys/kernel/config/nullb/{}"],
    }],
    udev: None,
    named_by_content: &[],
    names: &[names("/dev", &["nullb*"], Node)],
};

/// Device-mapper with the targets that stand for themselves.
const DM: Driver = Driver {
    name: "dm-mod",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &["md-mod"],
    files: &[
        file("drivers/md/"),
        file("include/linux/async_tx.h"),
        file("include/linux/device-mapper.h"),
        file("include/linux/dm-bufio.h"),
        file("include/linux/dm-dirty-log.h"),
        file("include/linux/dm-io.h"),
        file("include/linux/dm-kcopyd.h"),
        file("include/linux/dm-region-hash.h"),
        file("include/linux/raid/"),
        file("include/uapi/linux/dm-ioctl.h"),
        file("include/uapi/linux/dm-log-userspace.h"),
        file("include/uapi/linux/raid/md_p.h"),
        file("include/uapi/linux/raid/md_u.h"),
    ],
    kbuild: &[
        ("Kbuild", include_str!("../dm/Kbuild")),
        ("license.c", include_str!("../dm/license.c")),
    ],
    modules: &[
        ("dm-kobject", "dm-kobject"),
        ("dm-mod", "drivers/md/dm-mod"),
        ("dm-zero", "drivers/md/dm-zero"),
        ("dm-delay", "drivers/md/dm-delay"),
        ("dm-flakey", "drivers/md/dm-flakey"),
        ("dm-dust", "drivers/md/dm-dust"),
        ("dm-log-writes", "drivers/md/dm-log-writes"),
        ("dm-bufio", "drivers/md/dm-bufio"),
        ("dm-snapshot", "drivers/md/dm-snapshot"),
        ("dm-persistent-data", "drivers/md/persistent-data/dm-persistent-data"),
        ("dm-bio-prison", "drivers/md/dm-bio-prison"),
        ("dm-thin-pool", "drivers/md/dm-thin-pool"),
        ("dm-writecache", "drivers/md/dm-writecache"),
        ("dm-cache", "drivers/md/dm-cache"),
        ("dm-cache-smq", "drivers/md/dm-cache-smq"),
        ("dm-crypt", "drivers/md/dm-crypt"),
        ("dm-integrity", "drivers/md/dm-integrity"),
        ("dm-log", "drivers/md/dm-log"),
        ("dm-region-hash", "drivers/md/dm-region-hash"),
        ("dm-mirror", "drivers/md/dm-mirror"),
        ("dm-raid", "drivers/md/dm-raid"),
    ],
    // All that nobody has open, from the top down.
    take_down: &[TakeDown {
        each: Each::Disk("device-mapper"),
        command: &["dmsetup", "remove_all"],
    }],
    udev: None,
    named_by_content: &["device-mapper"],
    names: &[names("/dev", &["dm-[0-9]*", "mapper"], Node)],
};

/// Arrays of disks.
const MD: Driver = Driver {
    name: "md-mod",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("arch/x86/include/asm/xor.h"),
        file("arch/x86/include/asm/xor_64.h"),
        file("arch/x86/include/asm/xor_avx.h"),
        file("crypto/async_tx/"),
        file("crypto/xor.c"),
        file("drivers/md/"),
        file("include/linux/async_tx.h"),
        file("include/linux/raid/"),
        file("include/uapi/linux/raid/md_p.h"),
        file("include/uapi/linux/raid/md_u.h"),
        file("lib/raid6/"),
    ],
    kbuild: &[
        ("Kbuild", include_str!("../md/Kbuild")),
        ("crypto/Kbuild", include_str!("../md/crypto.Kbuild")),
    ],
    modules: &[
        ("xor", "crypto/xor"),
        ("raid6_pq", "lib/raid6/raid6_pq"),
        ("async_tx", "crypto/async_tx/async_tx"),
        ("async_memcpy", "crypto/async_tx/async_memcpy"),
        ("async_xor", "crypto/async_tx/async_xor"),
        ("async_pq", "crypto/async_tx/async_pq"),
        ("async_raid6_recov", "crypto/async_tx/async_raid6_recov"),
        ("md-mod", "drivers/md/md-mod"),
        ("raid0", "drivers/md/raid0"),
        ("raid1", "drivers/md/raid1"),
        ("raid10", "drivers/md/raid10"),
        ("raid456", "drivers/md/raid456"),
    ],
    take_down: &[TakeDown { each: Each::Disk("md"), command: &["mdadm", "--stop", "/dev/{}"] }],
    udev: None,
    named_by_content: &["md", "mdp"],
    names: &[
        names("/dev", &["md", "md[0-9]*", "md_d*", ".tmp.md*"], Node),
        names("/proc", &["mdstat"], Node),
    ],
};

/// Disks on files, and on other disks.
const LOOP: Driver = Driver {
    name: "loop",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[file("drivers/block/loop.c"), file("include/uapi/linux/loop.h")],
    kbuild: &[("Kbuild", include_str!("../loop/Kbuild"))],
    modules: &[("loop", "drivers/block/loop")],
    take_down: &[TakeDown {
        each: Each::DiskWith("loop", "loop"),
        command: &["losetup", "--detach", "/dev/{}"],
    }],
    udev: None,
    named_by_content: &["loop"],
    names: &[names("/dev", &["loop[0-9]*", "loop-control"], Node)],
};

/// Fast disks before slow ones.
const BCACHE: Driver = Driver {
    name: "bcache",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("drivers/md/bcache/"),
        file("include/linux/closure.h"),
        file("include/trace/events/bcache.h"),
        file("lib/closure.c"),
    ],
    kbuild: &[
        ("Kbuild", include_str!("../bcache/Kbuild")),
        ("license.c", include_str!("../bcache/license.c")),
    ],
    modules: &[("closure", "closure"), ("bcache", "drivers/md/bcache/bcache")],
    // What is cached and not on the slow disk yet stays in the cache, for the next time.
    take_down: &[
        TakeDown {
            each: Each::Disk("bcache"),
            command: &["sh", "-c", "echo 1 >\"/sys/block/$1/bcache/stop\"", "sh", "{}"],
        },
        TakeDown {
            each: Each::Dir("/sys/fs/bcache"),
            command: &["sh", "-c", "echo 1 >\"/sys/fs/bcache/$1/stop\"", "sh", "{}"],
        },
    ],
    udev: None,
    named_by_content: &["bcache"],
    names: &[names("/dev", &["bcache", "bcache[0-9]*"], Node), names("/sys/fs", &["bcache"], Node)],
};

/// Namespaces of other machines as disks.
const NVME: Driver = Driver {
    name: "nvme-core",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("drivers/nvme/host/"),
        file("include/linux/nvme-auth.h"),
        file("include/linux/nvme-keyring.h"),
        file("include/linux/nvme-tcp.h"),
        file("include/linux/nvme.h"),
        file("include/uapi/linux/nvme_ioctl.h"),
    ],
    kbuild: &[("Kbuild", include_str!("../nvme/Kbuild"))],
    modules: &[
        ("nvme-core", "drivers/nvme/host/nvme-core"),
        ("nvme-fabrics", "drivers/nvme/host/nvme-fabrics"),
        ("nvme-tcp", "drivers/nvme/host/nvme-tcp"),
    ],
    take_down: &[TakeDown {
        each: Each::Dir("/sys/class/nvme"),
        command: &["sh", "-c", "echo 1 >\"/sys/class/nvme/$1/delete_controller\"", "sh", "{}"],
    }],
    udev: None,
    named_by_content: &["nvme_core"],
    names: &[
        names("/dev", &["nvme*", "ng[0-9]*"], Node),
        names("/sys/class", &["nvme", "nvme-*"], Node),
    ],
};

/// Disks as NVMe namespaces for other machines.
const NVMET: Driver = Driver {
    name: "nvmet",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("drivers/nvme/target/"),
        file("include/linux/nvme-auth.h"),
        file("include/linux/nvme-keyring.h"),
        file("include/linux/nvme-tcp.h"),
        file("include/linux/nvme.h"),
        file("include/uapi/linux/nvme_ioctl.h"),
    ],
    kbuild: &[("Kbuild", include_str!("../nvmet/Kbuild"))],
    modules: &[
        ("nvmet", "drivers/nvme/target/nvmet"),
        ("nvmet-tcp", "drivers/nvme/target/nvmet-tcp"),
    ],
    // A port first: what it exports is in use as long as it does.
    take_down: &[
        clear!("/sys/kernel/config/nvmet/ports"),
        clear!("/sys/kernel/config/nvmet/subsystems"),
        clear!("/sys/kernel/config/nvmet/hosts"),
    ],
    udev: None,
    named_by_content: &[],
    names: &[],
};

/// Disks and files as LUNs for other machines, by iSCSI.
const LIO: Driver = Driver {
    name: "target_core_mod",
    package: "linux-source-6.12",
    archive: "/usr/src/linux-source-6.12.tar.xz",
    on: &[],
    files: &[
        file("drivers/scsi/scsi_common.c"),
        file("drivers/target/"),
        file("include/scsi/iscsi_proto.h"),
        file("include/scsi/scsi.h"),
        file("include/scsi/scsi_common.h"),
        file("include/scsi/scsi_proto.h"),
        file("include/scsi/scsi_status.h"),
        file("include/target/"),
        file("include/trace/events/target.h"),
    ],
    kbuild: &[("Kbuild", include_str!("../lio/Kbuild"))],
    modules: &[
        ("scsi_common", "scsi_common"),
        ("target_core_mod", "drivers/target/target_core_mod"),
        ("target_core_iblock", "drivers/target/target_core_iblock"),
        ("target_core_file", "drivers/target/target_core_file"),
        ("iscsi_target_mod", "drivers/target/iscsi/iscsi_target_mod"),
    ],
    // The fabrics with their targets, which ends the sessions, then what the LUNs are.
    take_down: &[
        clear!("/sys/kernel/config/target", "core"),
        clear!("/sys/kernel/config/target/core", "alua"),
        clear!("/sys/kernel/config/target/core/alua/lu_gps", "default_lu_gp"),
    ],
    udev: None,
    named_by_content: &[],
    names: &[],
};

/// The driver of that name.
pub fn find(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.name == name)
}

/// The driver that a module belongs to.
pub fn of_module(module: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.modules.iter().any(|(name, _)| *name == module))
}

/// The directories of its own that a node needs for the tools of the drivers.
pub fn state_dirs() -> BTreeSet<&'static str> {
    let owners = DRIVERS.iter().flat_map(|driver| driver.names).map(|names| names.owner);
    owners
        .filter_map(|owner| match owner {
            Node => None,
            StateDir(dir) | StateIn(dir) => Some(dir),
        })
        .collect()
}
