// SPDX-License-Identifier: GPL-2.0-only
//! Whose a name is: the one table of what the redirector knows of drivers, their tools and the host. The rows of the
//! drivers that can be built come from their catalogue.
//!
//! A row owns what is below its names, too. The first row that fits decides; a name without a row is the
//! host's.

use umc_protocol::tools::STATE;

/// Whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The host's, whatever a node has.
    Host,
    /// The node's, and nobody's where the node has no such name: the host's driver of that name is another one.
    Node,
    /// The node's where it has such a name, else the host's. Nothing new is made on the host.
    NodeElseHost,
    /// The same, but what is the host's can only be read.
    NodeElseReadOnly,
    /// The node's own directory of this name stands for each of the names.
    StateDir(&'static str),
    /// The names lie in the node's own directory of this name.
    StateIn(&'static str),
}

use Owner::{Host, Node, NodeElseHost, NodeElseReadOnly, StateDir, StateIn};

/// Names in one directory. A `*` at the end of a name stands for any rest.
pub struct Row {
    /// Their directory, which has no row of its own unless it stands in another.
    pub dir: &'static str,
    /// What they are called.
    pub names: &'static [&'static str],
    /// Whose they are.
    pub owner: Owner,
}

impl Row {
    fn has(&self, name: &[u8]) -> bool {
        !name.is_empty() && self.names.iter().any(|pattern| fits(pattern, name))
    }
}

const fn row(dir: &'static str, names: &'static [&'static str], owner: Owner) -> Row {
    Row { dir, names, owner }
}

/// The beginning of the table.
static HOSTS: &[Row] = &[
    // What no block driver brings: terminals, memory, randomness, buses, and where programs meet.
    row(
        "/dev",
        &[
            "autofs",
            "btrfs-control",
            "bus",
            "char",
            "console",
            "core",
            "cpu",
            "cuse",
            "dri",
            "fd",
            "full",
            "fuse",
            "hpet",
            "hugepages",
            "hwrng",
            "initctl",
            "input",
            "kvm",
            "log",
            "mem",
            "mqueue",
            "net",
            "null",
            "ppp",
            "ptmx",
            "pts",
            "random",
            "rtc*",
            "shm",
            "snd",
            "stderr",
            "stdin",
            "stdout",
            "tty*",
            "uinput",
            "urandom",
            "userfaultfd",
            "vcs*",
            "vfio",
            "vhost-*",
            "zero",
        ],
        Host,
    ),
];

/// The table: what is known of drivers that the catalogue does not have, and of every kernel.
static OTHERS: &[Row] = &[
    row("/proc/sys/dev", &["raid"], Node),
    // Drivers with devices of their own kind.
    row("/dev", &["zram*"], Node),
    row("/dev", &["dnbd*", "etherd", "rbd*", "rnbd*", "ublk*"], Node),
    row("/sys/class", &["zram-control"], Node),
    // configfs: targets (LIO, nvmet) and null_blk.
    row("/sys/kernel", &["config"], Node),
    // What every kernel has: its disks, its modules, its log, its magic keys.
    row("/dev", &["block", "kmsg"], Node),
    row("/proc", &["devices", "diskstats", "misc", "modules", "partitions", "sysrq-trigger"], Node),
    row("/sys", &["block", "module"], Node),
    row("/sys/class", &["bdi", "block"], Node),
    row("/sys/dev", &["block"], Node),
    row("/sys/devices/virtual", &["bdi", "block"], Node),
    row("/proc/sys/kernel", &["hostname"], Node),
    row("/proc/sys/kernel", &["*"], NodeElseReadOnly),
    // A disk may have any other name.
    row("/dev", &["*"], NodeElseHost),
    row("/sys/kernel/debug", &["*"], NodeElseHost),
];

/// The middle: the names of the drivers in the catalogue, `cdrivers/src/catalogue.rs`. The build writes it.
static DRIVERS: &[Row] = include!(concat!(env!("OUT_DIR"), "/drivers.rs"));

/// What tools of no one driver keep.
static STATES: [Row; STATE.len()] = {
    const NONE: Row = row("", &[], Host);
    let mut rows = [NONE; STATE.len()];
    let mut at = 0;
    while at < rows.len() {
        let state = &STATE[at];
        let owner = if state.is_it { StateDir(state.at) } else { StateIn(state.at) };
        rows[at] = row(state.dir, state.names, owner);
        at += 1;
    }
    rows
};

fn rows() -> impl Iterator<Item = &'static Row> {
    HOSTS.iter().chain(DRIVERS).chain(OTHERS).chain(&STATES)
}

/// The directory whose listing is made of the node's entries and the host's that are no disks.
pub const SHARED_DIR: &[u8] = b"/dev";

/// Whether a name that begins with this component may have a row.
pub fn is_mapped_top(component: &[u8]) -> bool {
    matches!(component, b"dev" | b"etc" | b"proc" | b"run" | b"sys" | b"var")
}

/// The row of an absolute, normalised name, and how long the part is that its pattern fits.
pub fn find(path: &[u8]) -> Option<(&'static Row, usize)> {
    rows().find_map(|row| {
        let rest = path.strip_prefix(row.dir.as_bytes())?.strip_prefix(b"/")?;
        let name = rest.split(|&b| b == b'/').next()?;
        row.has(name).then_some((row, row.dir.len() + 1 + name.len()))
    })
}

/// The row of `name` in the directory `dir`.
pub fn find_in(dir: &[u8], name: &[u8]) -> Option<&'static Row> {
    rows().find(|row| row.dir.as_bytes() == dir && row.has(name))
}

/// Whether `pattern` names `name`: itself, with `*` at its end any rest, and with `[0-9]*` a rest that begins with a
/// digit.
fn fits(pattern: &str, name: &[u8]) -> bool {
    if let Some(head) = pattern.strip_suffix("[0-9]*") {
        return name
            .strip_prefix(head.as_bytes())
            .is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit));
    }
    match pattern.strip_suffix('*') {
        Some(head) => name.starts_with(head.as_bytes()),
        None => name == pattern.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(path: &str) -> Owner {
        find(path.as_bytes()).map_or(Host, |(row, _)| row.owner)
    }

    #[test]
    fn every_row_can_be_reached() {
        for row in rows() {
            assert!(is_mapped_top(row.dir.split('/').nth(1).unwrap().as_bytes()), "{}", row.dir);
            for name in row.names {
                let example = name.replace("[0-9]*", "0").replace('*', "x");
                let path = format!("{}/{example}", row.dir);
                let (found, len) = find(path.as_bytes()).unwrap();
                assert!(core::ptr::eq(found, row), "{path} has an earlier row");
                assert_eq!(len, path.len());
                assert_eq!(find(format!("{path}/below").as_bytes()).unwrap().1, path.len());
            }
        }
    }

    #[test]
    fn names_of_known_drivers_are_the_nodes_at_all_times() {
        for path in [
            "/dev/loop0",
            "/dev/loop-control",
            "/dev/mapper/control",
            "/dev/dm-0",
            "/dev/md/home",
            "/dev/md0",
            "/dev/nbd0p1",
            "/dev/ram0",
            "/dev/nullb0",
            "/dev/nvme0n1",
            "/dev/nvme-fabrics",
            "/dev/ng0n1",
            "/dev/kmsg",
            "/proc/mdstat",
            "/sys/kernel/config/target",
            "/sys/fs/bcache/register",
            "/sys/module/loop/parameters",
            "/sys/dev/block/8:0",
        ] {
            assert_eq!(owner(path), Node, "{path}");
        }
        // Not everything that begins alike is theirs.
        for path in ["/dev/random", "/dev/tty", "/dev/net/tun"] {
            assert_eq!(owner(path), Host, "{path}");
        }
        for path in ["/dev/looped", "/dev/ramp", "/dev/mdx", "/dev/sda", "/dev/disk/by-id/x"] {
            assert_eq!(owner(path), NodeElseHost, "{path}");
        }
    }
}
