//! The path map, as a pure function of a name.
//!
//! [`normalise`] makes an absolute name of what a program passed, [`target`] says where that name
//! leads. Both look at text only: no file system is asked.

/// Where an absolute, normalised name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The host, as if there were no redirector.
    Host,
    /// The same name below the node's root.
    Tree,
    /// The same name below the node's root if the first `probe` bytes of it exist there, else the
    /// host.
    TreeIfPresent {
        /// Length of the part that decides.
        probe: usize,
    },
    /// The same, but what is the host's can only be read.
    TreeElseReadOnly {
        /// Length of the part that decides.
        probe: usize,
    },
    /// The state directory `dir`, with the first `strip` bytes of the name taken off.
    State {
        /// Directory below the node's state directory.
        dir: &'static [u8],
        /// Length of the host directory that `dir` stands for.
        strip: usize,
    },
}

/// Character devices, directories of the kernel's and links that programs expect to be the host's
/// whatever a node has.
const HOST_DEV: &[&[u8]] = &[
    b"console",
    b"core",
    b"fd",
    b"full",
    b"fuse",
    b"hugepages",
    b"initctl",
    b"kmsg",
    b"log",
    b"mqueue",
    b"null",
    b"ptmx",
    b"pts",
    b"random",
    b"shm",
    b"stderr",
    b"stdin",
    b"stdout",
    b"tty",
    b"urandom",
    b"zero",
];

/// Files of /proc that describe the kernel's drivers and disks, or end it.
const TREE_PROC: &[&[u8]] =
    &[b"drbd", b"modules", b"partitions", b"devices", b"diskstats", b"sysrq-trigger"];

/// Whether [`target`] can be anything but the host for a name that begins like `path`. Cheap; true
/// for every name that needs a closer look.
pub fn is_candidate(path: &[u8]) -> bool {
    let first = components(path).find(|c| *c != b".").unwrap_or(b"");
    matches!(first, b"dev" | b"proc" | b"sys" | b"var" | b"run" | b"..") || has_dot_dot(path)
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

/// The first component of `rest` ("/name/…"), and the length up to its end; None for the directory
/// itself.
fn first(rest: &[u8]) -> Option<(&[u8], usize)> {
    let name = rest.get(1..)?.split(|&b| b == b'/').next()?;
    (!name.is_empty()).then_some((name, 1 + name.len()))
}

/// Where the normalised absolute name `path` leads.
pub fn target(path: &[u8]) -> Target {
    if let Some(rest) = below(path, b"/dev") {
        return dev(path, rest);
    }
    if let Some(rest) = below(path, b"/proc") {
        let ours = first(rest).is_some_and(|(name, _)| TREE_PROC.contains(&name));
        if ours || rest == b"/sys/kernel/hostname" {
            return Target::Tree;
        }
        return match below(rest, b"/sys/kernel").and_then(first) {
            Some(_) => Target::TreeElseReadOnly { probe: path.len() },
            None => Target::Host,
        };
    }
    if let Some(rest) = below(path, b"/sys") {
        return sys(rest);
    }
    state(path)
}

fn dev(path: &[u8], rest: &[u8]) -> Target {
    let Some((name, _)) = first(rest) else { return Target::Host };
    if name.starts_with(b"drbd") {
        return Target::Tree;
    }
    let terminal = name.starts_with(b"tty") || name.starts_with(b"vcs");
    if HOST_DEV.contains(&name) || terminal {
        return Target::Host;
    }
    // The whole name decides: /dev/disk/by-uuid/X of the host stays reachable when a node has its
    // own /dev/disk.
    Target::TreeIfPresent { probe: path.strip_suffix(b"/").unwrap_or(path).len() }
}

/// `rest`: what follows "/sys".
fn sys(rest: &[u8]) -> Target {
    for always in [&b"/block"[..], b"/class/block", b"/devices/virtual/block"] {
        if below(rest, always).is_some() {
            return Target::Tree;
        }
    }
    // Directory with something for each module, disk or driver; names that are always the node's.
    type Always = fn(&[u8]) -> bool;
    let shared: [(&[u8], Always); 5] = [
        (b"/module", |name| name.starts_with(b"drbd") || name == b"lru_cache"),
        (b"/kernel/debug", |name| name == b"drbd"),
        (b"/devices/virtual/bdi", |name| name.starts_with(b"147:")),
        (b"/class/bdi", |name| name.starts_with(b"147:")),
        (b"/dev/block", |name| name.starts_with(b"147:")),
    ];
    for (dir, always) in shared {
        let Some((name, len)) = below(rest, dir).and_then(first) else { continue };
        return match always(name) {
            true => Target::Tree,
            false => Target::TreeIfPresent { probe: b"/sys".len() + dir.len() + len },
        };
    }
    Target::Host
}

/// What DRBD's tools keep for themselves.
fn state(path: &[u8]) -> Target {
    let whole: [(&[u8], &'static [u8]); 3] = [
        (b"/var/lib/drbd", b"lib-drbd"),
        (b"/var/run/drbd", b"run-drbd"),
        (b"/run/drbd", b"run-drbd"),
    ];
    for (host, dir) in whole {
        if below(path, host).is_some() {
            return Target::State { dir, strip: host.len() };
        }
    }
    for host in [&b"/var/lock"[..], b"/run/lock", b"/var/run/lock"] {
        let name = below(path, host).and_then(first).map_or(&b""[..], |(name, _)| name);
        if name == b"drbd" || name.starts_with(b"drbd-") {
            return Target::State { dir: b"lock", strip: host.len() };
        }
    }
    Target::Host
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
        ] {
            assert_eq!(to(path), Target::Tree, "{path}");
        }
    }

    #[test]
    fn names_that_both_may_have_are_looked_up() {
        for (path, decides) in [
            ("/dev/disk0", "/dev/disk0"),
            ("/dev/disk/by-uuid/1", "/dev/disk/by-uuid/1"),
            ("/dev/disk/", "/dev/disk"),
            ("/sys/module/brd/parameters/rd_nr", "/sys/module/brd"),
            ("/sys/module/brd/", "/sys/module/brd"),
            ("/sys/dev/block/7:0/queue", "/sys/dev/block/7:0"),
            ("/sys/devices/virtual/bdi/7:0/x", "/sys/devices/virtual/bdi/7:0"),
            ("/sys/kernel/debug/block/x", "/sys/kernel/debug/block"),
        ] {
            assert_eq!(to(path), Target::TreeIfPresent { probe: decides.len() }, "{path}");
        }
    }

    #[test]
    fn settings_of_the_hosts_kernel_are_not_the_nodes_to_change() {
        for path in ["/proc/sys/kernel/sysrq", "/proc/sys/kernel/hostname2", "/proc/sys/kernel/a/b"]
        {
            assert_eq!(to(path), Target::TreeElseReadOnly { probe: path.len() }, "{path}");
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
            "/sys/module",
            "/sys/module/",
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
        for path in ["/usr/lib/x", "/", "", "/etc/..x/y", "/devel"] {
            assert!(!is_candidate(path.as_bytes()), "{path}");
        }
    }
}
