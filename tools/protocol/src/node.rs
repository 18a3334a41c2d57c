// SPDX-License-Identifier: GPL-2.0-only
//! Where a node lives on the host, and how to see that it is alive.
//!
//! `BASE/NODE/` holds `root/` (mount point of the tree), `state/`, `control` (socket), `node.json`,
//! `log`, `lock` and `node.lock`. BASE is `$UMC_RUNTIME_DIR`, else `/run/umc` for root, else
//! `$XDG_RUNTIME_DIR/umc`.
//!
//! umcd writes `node.json` by [`NodeRecord::publish`] as the last step of its start, when its
//! control socket listens and its tree is mounted, and removes it as the first step of its end:
//! who waits for a node waits for this file (it appears by rename), and never connects too early.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::{Deserialize, Serialize};

/// Mount point of the tree, below a node's directory.
pub const ROOT: &str = "root";
/// State directory, below a node's directory.
pub const STATE: &str = "state";
/// Control socket, below a node's directory.
pub const CONTROL: &str = "control";
/// The node's record, below a node's directory.
pub const RECORD: &str = "node.json";
/// Output of a node started in the background, below a node's directory.
pub const LOG: &str = "log";
/// Locked with flock by whoever starts the node, below a node's directory.
pub const LOCK: &str = "lock";
/// Locked with flock by umcd as long as it lives, and by whoever clears up after one, below a node's directory.
pub const ALIVE: &str = "node.lock";

/// Variable in the environment of programs that are to use a node: its root.
pub const FS_ROOT: &str = "UMC_FS_ROOT";
/// Variable in the environment of a node's usermode helpers and of what they start: the node's root.
pub const HELPER_OF: &str = "UMC_HELPER_OF";

/// `node.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Node name.
    pub name: String,
    /// Process id of umcd.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: with the pid it names one process for good.
    pub start_time: u64,
    /// Where the tree is mounted (`--root`), absolute.
    pub root: PathBuf,
    /// The state directory, absolute.
    pub state: PathBuf,
    /// The control socket, absolute.
    pub control: PathBuf,
    /// Seconds since 1970 at start.
    pub started: u64,
}

impl NodeRecord {
    /// The record of the node in `dir`; NotFound when no node runs or ran there.
    pub fn load(dir: &Path) -> io::Result<NodeRecord> {
        let text = fs::read(dir.join(RECORD))?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }

    /// Write the record into `dir`, whole or not at all.
    pub fn publish(&self, dir: &Path) -> io::Result<()> {
        let temporary = dir.join(format!(".{RECORD}.{}", self.pid));
        fs::write(&temporary, serde_json::to_vec_pretty(self).map_err(io::Error::from)?)?;
        fs::rename(&temporary, dir.join(RECORD)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    /// Whether the process that wrote the record still runs.
    pub fn is_alive(&self) -> bool {
        process_start_time(self.pid) == Some(self.start_time)
    }

    /// Whether that process is still there, be it dead: its first thread may be, and others hold what it had open.
    pub fn has_process(&self) -> bool {
        stat_of(self.pid).is_some_and(|stat| stat.start_time == self.start_time)
    }
}

/// Field 22 of `/proc/PID/stat`; None when there is no such process or it is a zombie.
pub fn process_start_time(pid: u32) -> Option<u64> {
    stat_of(pid).filter(|stat| !stat.is_dead).map(|stat| stat.start_time)
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    is_dead: bool,
    start_time: u64,
}

fn stat_of(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is a command name in parentheses that may itself hold `) `: count from its end.
fn parse_stat(stat: &str) -> Option<Stat> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X" | "x");
    Some(Stat { is_dead, start_time: fields.nth(18)?.parse().ok()? })
}

/// BASE. An error says which variable to set.
pub fn runtime_base() -> Result<PathBuf, String> {
    let root = nix::unistd::geteuid().is_root();
    base_from(env::var_os("UMC_RUNTIME_DIR"), env::var_os("XDG_RUNTIME_DIR"), root)
}

fn base_from(
    own: Option<std::ffi::OsString>,
    xdg: Option<std::ffi::OsString>,
    root: bool,
) -> Result<PathBuf, String> {
    let absolute = |name: &str, value: std::ffi::OsString| {
        let path = PathBuf::from(value);
        match path.is_absolute() {
            true => Ok(path),
            false => Err(format!("{name} is {}, which is not an absolute path.", path.display())),
        }
    };
    match (own.filter(|v| !v.is_empty()), xdg.filter(|v| !v.is_empty())) {
        (Some(own), _) => absolute("UMC_RUNTIME_DIR", own),
        (None, _) if root => Ok(PathBuf::from("/run/umc")),
        (None, Some(xdg)) => Ok(absolute("XDG_RUNTIME_DIR", xdg)?.join("umc")),
        (None, None) => Err("There is no directory for nodes: XDG_RUNTIME_DIR is not set. \
                             Set UMC_RUNTIME_DIR to a directory of yours."
            .into()),
    }
}

/// BASE/NODE, after [`check_name`].
pub fn node_dir(name: &str) -> Result<PathBuf, String> {
    check_name(name)?;
    Ok(runtime_base()?.join(name))
}

/// BASE/NODE, made if it is not there.
///
/// # Errors
/// As [`check_dir`]; or it cannot be made.
pub fn make_node_dir(name: &str) -> Result<PathBuf, String> {
    let dir = node_dir(name)?;
    fs::create_dir_all(&dir).map_err(|error| format!("Cannot make {}: {error}.", dir.display()))?;
    check_dir(&dir)?;
    Ok(dir)
}

/// Refuses a node's directory in which somebody else decides where a file is: what is written there would end elsewhere.
///
/// # Errors
/// It is a link; it belongs to another user, or its parent does; anybody may write to one of them.
pub fn check_dir(dir: &Path) -> Result<(), String> {
    let me = nix::unistd::geteuid().as_raw();
    let base = dir.parent().unwrap_or(dir);
    let look = |path: &Path, status: io::Result<fs::Metadata>| {
        let shown = path.display();
        let status = status.map_err(|error| format!("Cannot look at {shown}: {error}."))?;
        let whose = status.uid();
        // With the sticky bit, as /tmp, nobody replaces what is another's.
        let why = if !status.is_dir() {
            "is no directory of its own".to_owned()
        } else if whose != me && (whose != 0 || path != base) {
            format!("belongs to user {whose}, not to user {me}")
        } else if status.mode() & 0o002 != 0 && (status.mode() & 0o1000 == 0 || path != base) {
            "can be written to by everybody".to_owned()
        } else {
            return Ok(());
        };
        Err(format!("Cannot use {shown} for a node: it {why}. Remove it, or set UMC_RUNTIME_DIR."))
    };
    look(base, fs::metadata(base))?;
    look(dir, fs::symlink_metadata(dir))
}

/// A node name is also a host name and a directory: letters, digits, `-`, `_` and `.`, first a
/// letter or a digit, at most 64 (the kernel's nodename).
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{name:?} cannot name a node: use letters, digits, '-', '_' and '.', begin with a \
             letter or a digit, and keep to 64 characters."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_survives_odd_command_names() {
        let rest = "1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        let stat = |is_dead| Some(Stat { is_dead, start_time: 4242 });
        assert_eq!(parse_stat(&format!("7 (a) b) R {rest}")), stat(false));
        assert_eq!(parse_stat(&format!("7 (a) Z {rest}")), stat(true));
        assert_eq!(parse_stat("7 (a"), None);
    }

    #[test]
    fn this_process_is_alive_and_its_past_is_not() {
        let mut record = NodeRecord {
            name: "a".into(),
            pid: std::process::id(),
            start_time: process_start_time(std::process::id()).unwrap(),
            root: "/r".into(),
            state: "/s".into(),
            control: "/c".into(),
            started: 1,
        };
        assert!(record.is_alive());
        record.start_time += 1;
        assert!(!record.is_alive());
    }

    #[test]
    fn base_prefers_the_own_variable_then_run_then_xdg() {
        let some = |s: &str| Some(s.into());
        assert_eq!(base_from(some("/a"), some("/x"), true), Ok("/a".into()));
        assert_eq!(base_from(some(""), some("/x"), true), Ok("/run/umc".into()));
        assert_eq!(base_from(None, some("/x"), false), Ok("/x/umc".into()));
        assert!(base_from(None, None, false).is_err());
        assert!(base_from(some("rel"), None, false).is_err());
    }

    #[test]
    fn only_a_directory_of_ones_own_is_a_nodes() {
        use std::os::unix::fs::{PermissionsExt, chown, symlink};
        let base = env::temp_dir().join(format!("umc-node-dir-{}", std::process::id()));
        let dir = base.join("alpha");
        fs::create_dir_all(&dir).unwrap();
        let why = || check_dir(&dir).unwrap_err();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        check_dir(&dir).unwrap();
        mode(&base, 0o1777);
        check_dir(&dir).unwrap();
        mode(&base, 0o777);
        assert!(why().contains(&format!("{} for a node: it can be written", base.display())));
        mode(&base, 0o755);
        mode(&dir, 0o1777);
        assert!(why().contains("alpha for a node: it can be written to by everybody"));
        mode(&dir, 0o755);
        if nix::unistd::geteuid().is_root() {
            chown(&dir, Some(12345), None).unwrap();
            assert!(why().contains("alpha for a node: it belongs to user 12345"));
        }
        fs::remove_dir(&dir).unwrap();
        symlink("/tmp", &dir).unwrap();
        assert!(why().contains("alpha for a node: it is no directory"));
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn names_are_host_names() {
        for good in ["a", "alpha-1", "n.example", "0_x"] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
