// SPDX-License-Identifier: GPL-2.0-only
//! The path map, as a pure function of a name.
//!
//! [`normalise`] makes an absolute name of what a program passed, [`target`] says where that name
//! leads, by the table of [`names`]. Both look at text only: no file system is asked.

use crate::names::{self, Owner};

/// Where an absolute, normalised name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host, as if there were no redirector.
    Host,
    /// The same name below the node's root.
    Tree,
    /// The same name below the node's root if it exists there, else the host.
    TreeIfPresent,
    /// The same, but what is the host's can only be read.
    TreeElseReadOnly,
    /// The state directory `dir`, with the first `strip` bytes of the name taken off.
    State {
        /// Directory below the node's state directory.
        dir: &'static [u8],
        /// Length of the host directory that `dir` stands for.
        strip: usize,
    },
}

/// Whether [`target`] can be anything but the host for a name that begins like `path`. Cheap; true
/// for every name that needs a closer look.
pub fn is_candidate(path: &[u8]) -> bool {
    let first = components(path).find(|c| *c != b".").unwrap_or(b"");
    names::is_mapped_top(first) || has_dot_dot(path)
}

/// Whether a component of `path` is `..`.
pub fn has_dot_dot(path: &[u8]) -> bool {
    components(path).any(|c| c == b"..")
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|c| !c.is_empty())
}

/// Write `cwd` + `path` (`path` alone when it is absolute) into `out` without empty, `.` and `..`
/// components, and return the length; None when it does not fit. A final slash (or `/.`) stays as one
/// slash, since it asks for a directory. `..` is taken off textually.
pub fn normalise(cwd: &[u8], path: &[u8], out: &mut [u8]) -> Option<usize> {
    let cwd = if path.first() == Some(&b'/') { &b""[..] } else { cwd };
    let mut len = 0;
    for component in components(cwd).chain(components(path)) {
        match component {
            b"." => {}
            b".." => len = out[..len].iter().rposition(|&b| b == b'/').unwrap_or(0),
            _ => {
                let end = len + 1 + component.len();
                let room = out.get_mut(len..end)?;
                room[0] = b'/';
                room[1..].copy_from_slice(component);
                len = end;
            }
        }
    }
    let directory =
        matches!(path.rsplit(|&b| b == b'/').next(), Some(b"" | b".")) && path.len() > 1;
    if len == 0 || directory {
        *out.get_mut(len)? = b'/';
        len += 1;
    }
    Some(len)
}

/// `rest` when `path` is `prefix` or below it.
fn below<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest[0] == b'/').then_some(rest)
}

/// Whether `path` is `dir` or below it.
pub fn is_below(path: &[u8], dir: &[u8]) -> bool {
    below(path, dir).is_some()
}

/// Where the normalised absolute name `path` leads.
pub fn target(path: &[u8]) -> Target {
    let Some((row, len)) = names::find(path) else { return Target::Host };
    match row.owner {
        Owner::Host => Target::Host,
        Owner::Node => Target::Tree,
        Owner::NodeElseHost => Target::TreeIfPresent,
        Owner::NodeElseReadOnly => Target::TreeElseReadOnly,
        Owner::StateDir(dir) => Target::State { dir: dir.as_bytes(), strip: len },
        Owner::StateIn(dir) => Target::State { dir: dir.as_bytes(), strip: row.dir.len() },
    }
}

/// Whether `path` is the directory that is listed for both, the node and the host.
pub fn is_shared_dir(path: &[u8]) -> bool {
    path.strip_suffix(b"/").unwrap_or(path) == names::SHARED_DIR
}

/// Whether `path` is an entry of that directory.
pub fn is_in_shared_dir(path: &[u8]) -> bool {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.iter().rposition(|&b| b == b'/').is_some_and(|end| &path[..end] == names::SHARED_DIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(cwd: &str, path: &str) -> String {
        let mut out = [0; 64];
        let len = normalise(cwd.as_bytes(), path.as_bytes(), &mut out).unwrap();
        String::from_utf8(out[..len].to_vec()).unwrap()
    }

    #[test]
    fn names_are_normalised() {
        for (cwd, path, want) in [
            ("/x", "/dev/drbd0", "/dev/drbd0"),
            ("/x", "//dev///drbd0", "/dev/drbd0"),
            ("/x", "/./dev/./drbd0", "/dev/drbd0"),
            ("/x", "/dev/../proc/drbd", "/proc/drbd"),
            ("/x", "/../../dev/drbd0", "/dev/drbd0"),
            ("/x", "/sys/block/", "/sys/block/"),
            ("/x", "/sys/block/.", "/sys/block/"),
            ("/x", "/sys/block//", "/sys/block/"),
            ("/x", "/sys/block/x/..", "/sys/block"),
            ("/x", "/", "/"),
            ("/x", "/..", "/"),
            ("/", "dev/drbd0", "/dev/drbd0"),
            ("/dev", "drbd0", "/dev/drbd0"),
            ("/dev", "./drbd0", "/dev/drbd0"),
            ("/dev", ".", "/dev"),
            ("/home/u", "../../dev/drbd0", "/dev/drbd0"),
            ("/home/u", "..", "/home"),
        ] {
            assert_eq!(norm(cwd, path), want, "{cwd} + {path}");
        }
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let mut out = [0; 5];
        assert_eq!(normalise(b"", b"/abcd", &mut out), Some(5));
        assert_eq!(normalise(b"", b"/abcde", &mut out), None);
        assert_eq!(normalise(b"", b"/abcd/", &mut out), None);
        assert_eq!(normalise(b"", b"/abcde/../a", &mut out), None);
    }

    fn to(path: &str) -> Target {
        assert!(is_candidate(path.as_bytes()) || target(path.as_bytes()) == Target::Host);
        target(path.as_bytes())
    }

    #[test]
    fn names_of_the_node_lead_into_its_tree() {
        for path in [
            "/dev/drbd0",
            "/dev/drbd",
            "/dev/drbd/by-res/r0/0",
            "/dev/drbd*",
            "/dev/drbd_custom",
            "/proc/drbd",
            "/proc/modules",
            "/proc/partitions",
            "/proc/devices",
            "/proc/diskstats",
            "/proc/sysrq-trigger",
            "/proc/sys/kernel/hostname",
            "/sys/block",
            "/sys/block/",
            "/sys/block/drbd0/size",
            "/sys/class/block/ram0",
            "/sys/devices/virtual/block/drbd0",
            "/sys/devices/virtual/bdi/147:0",
            "/sys/module/drbd",
            "/sys/module/drbd_transport_tcp/parameters",
            "/sys/module/lru_cache",
            "/sys/kernel/debug/drbd/resources",
            "/sys/dev/block/147:1/queue",
            "/sys/dev/block/7:0/queue",
            "/sys/devices/virtual/bdi/7:0/x",
            "/sys/module",
            "/sys/module/",
            "/sys/module/brd/parameters/rd_nr",
        ] {
            assert_eq!(to(path), Target::Tree, "{path}");
        }
    }

    #[test]
    fn names_that_both_may_have_are_looked_up() {
        for path in ["/dev/disk0", "/dev/disk/by-uuid/1", "/dev/disk/", "/sys/kernel/debug/block/x"]
        {
            assert_eq!(to(path), Target::TreeIfPresent, "{path}");
        }
    }

    #[test]
    fn settings_of_the_hosts_kernel_are_not_the_nodes_to_change() {
        for path in ["/proc/sys/kernel/sysrq", "/proc/sys/kernel/hostname2", "/proc/sys/kernel/a/b"]
        {
            assert_eq!(to(path), Target::TreeElseReadOnly, "{path}");
        }
    }

    #[test]
    fn state_of_the_tools_leads_to_the_state_directory() {
        for (path, dir, strip) in [
            ("/var/lib/drbd", "lib-drbd", "/var/lib/drbd"),
            ("/var/lib/drbd/drbd-minor-0.lkbd", "lib-drbd", "/var/lib/drbd"),
            ("/var/run/drbd/x", "run-drbd", "/var/run/drbd"),
            ("/run/drbd", "run-drbd", "/run/drbd"),
            ("/var/lock/drbd-147-0", "lock", "/var/lock"),
            ("/run/lock/drbd-147-0", "lock", "/run/lock"),
            ("/var/run/lock/drbd-147-0", "lock", "/var/run/lock"),
            ("/var/lock/drbd/x", "lock", "/var/lock"),
            ("/run/udev/control", "run-udev", "/run/udev"),
            ("/run/lock/lvm/P_global", "lock-lvm", "/run/lock/lvm"),
            ("/etc/lvm/backup/vg", "etc-lvm", "/etc/lvm"),
            ("/run/dmeventd-server", "run", "/run"),
            ("/var/run/mdadm/map", "run-mdadm", "/var/run/mdadm"),
        ] {
            assert_eq!(
                to(path),
                Target::State { dir: dir.as_bytes(), strip: strip.len() },
                "{path}"
            );
        }
    }

    #[test]
    fn everything_else_is_the_hosts() {
        for path in [
            "/",
            "/dev",
            "/dev/",
            "/dev/null",
            "/dev/tty",
            "/dev/ttyS0",
            "/dev/pts/0",
            "/dev/fd/3",
            "/dev/shm/x",
            "/devel/drbd0",
            "/proc",
            "/proc/self/fd/1",
            "/proc/drbdx",
            "/proc/mounts",
            "/proc/sys/kernel",
            "/proc/sys/vm/drop_caches",
            "/sys",
            "/sys/blocks",
            "/sys/kernel/debug",
            "/sys/dev/char/1:3",
            "/var/lib/drbdx",
            "/var/lib",
            "/run",
            "/run/drbdx",
            "/run/lock",
            "/run/lock/other",
            "/run/lock/drbdx",
            "/etc/drbd.conf",
            "/etc/lvm/lvm.conf",
            "/etc/lvm",
            "/run/user/0",
            "/home/dev/drbd0",
            "",
        ] {
            assert_eq!(to(path), Target::Host, "{path}");
        }
    }

    #[test]
    fn only_names_that_may_be_mapped_are_looked_at_closely() {
        for path in ["/dev/x", "//dev/x", "/./proc/x", "/usr/../dev/x", "/../dev/x", "/run/x"] {
            assert!(is_candidate(path.as_bytes()), "{path}");
        }
        for path in ["/usr/lib/x", "/", "", "/usr/..x/y", "/devel"] {
            assert!(!is_candidate(path.as_bytes()), "{path}");
        }
    }
}
