// SPDX-License-Identifier: GPL-2.0-only
//! Names that belong to a node, when there is no node, and names of known drivers, which are never the host's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::{FakeRoot, redirected, said};

/// What becomes of each attempt on `names`: `ok`, or the name of the error.
fn attempts(root: &Path, attempt: &str, names: &[&str]) -> Vec<String> {
    let script = format!(
        "import os,sys,errno
for n in sys.argv[1:]:
    try:
        {attempt}
        print('ok')
    except OSError as e: print(errno.errorcode[e.errno])"
    );
    let printed = said(redirected("python3", root).args(["-c", &script]).args(names));
    printed.lines().map(str::to_owned).collect()
}

/// Programs that look at a name, which harms nobody if it is the host's after all.
const LOOKS: &[&str] = &[
    "os.close(os.open(n, os.O_RDONLY | os.O_NONBLOCK))",
    "os.stat(n)",
    "os.lstat(n)",
    "os.close(os.open(n[1:], os.O_PATH, dir_fd=os.open('/', os.O_PATH)))",
    "os.chdir('/dev'); os.stat('..' + n)",
    "os.listdir(n)",
    "os.posix_spawn('/bin/true', ['true'], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, n, 0, 0)])",
];

/// Every kind of name that a node may own, many of which the host has.
const NAMES: &[&str] = &[
    "/dev/drbd0",
    "/dev/loop-control",
    "/dev/loop3",
    "/dev/sdb",
    "/dev/mapper/control",
    "/dev/disk/by-id/x",
    "/proc/partitions",
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/pid_max",
    "/sys/block",
    "/sys/module",
    "/sys/dev/block/7:0",
    "/var/lib/drbd/x",
    "/run/lock/drbd-147-0",
];

/// Programs that make, change or remove what a name stands for.
const CHANGES: &[&str] = &[
    "os.close(os.open(n, os.O_RDWR))",
    "os.close(os.open(n, os.O_RDWR | os.O_CREAT))",
    "open(n, 'wb').close()",
    "os.mkdir(n)",
    "os.unlink(n)",
    "os.rename('/no/such/file', n)",
    "os.truncate(n, 0)",
    "os.chmod(n, 0o600)",
];

/// Names of which the host has none.
const UNUSED: &[&str] = &[
    "/dev/drbd_umc_test",
    "/dev/loop999999",
    "/dev/umc-test-disk",
    "/dev/mapper/umc-test",
    "/proc/sys/kernel/umc-test",
    "/sys/block/umc-test",
    "/var/lib/drbd/umc-test",
    "/run/lock/drbd-umc-test",
];

/// Whether a test has made `name` on the host, where it does not stay.
fn was_on_host(name: &str) -> bool {
    fs::remove_file(name).or_else(|_| fs::remove_dir(name)).is_ok()
}

#[test]
fn names_of_a_node_that_is_gone_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let empty = dir.path().join("empty");
    let file = dir.path().join("file");
    let link = dir.path().join("link");
    fs::create_dir(&empty).unwrap();
    fs::write(&file, "").unwrap();
    symlink(&missing, &link).unwrap();
    for root in [&missing, &empty, &file, &link] {
        let all = LOOKS.iter().map(|look| (look, NAMES));
        for (attempt, names) in all.chain(CHANGES.iter().map(|change| (change, UNUSED))) {
            let answers = attempts(root, attempt, names);
            // All of them are looked for, so that none stays.
            let made: Vec<_> = UNUSED.iter().filter(|name| was_on_host(name)).collect();
            assert!(made.is_empty(), "{attempt} made {made:?}: {answers:?}");
            let refused = answers.iter().all(|answer| answer == "ENOTCONN");
            assert!(refused, "{attempt} with {}: {answers:?}", root.display());
        }
        // What no node has is the host's as ever.
        let host = ["/dev/null", "/dev/tty", "/proc/self/stat", "/etc/passwd", "/dev", "/run"];
        assert_eq!(attempts(root, "os.stat(n)", &host), ["ok"; 6]);
        assert_eq!(attempts(root, "os.listdir(n)", &["/dev"]), ["ENOTCONN"]);
        for shell in ["dash", "bash"] {
            let script =
                "echo x > /dev/null; echo gone 2>/dev/null > /dev/umc-test-disk || echo refused";
            let printed = said(redirected(shell, root).args(["-c", script]));
            assert_eq!(printed, "refused\n", "{shell}");
        }
    }
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0, "nothing was made where the tree was");
}

#[test]
fn a_node_that_comes_back_has_its_names_again() {
    let root = FakeRoot::new();
    let away = root.host("away");
    let script = format!(
        "import os,errno
def look():
    try: return os.stat('/dev/drbd0').st_size
    except OSError as e: return errno.errorcode[e.errno]
print(look()); os.rename('{0}', '{1}'); print(look()); os.rename('{1}', '{0}'); print(look())",
        root.path().display(),
        away.display()
    );
    let printed = said(root.command("python3").arg("-c").arg(script));
    assert_eq!(printed, "10\nENOTCONN\n10\n");
}

#[test]
fn names_of_known_drivers_are_never_the_hosts() {
    let root = FakeRoot::new();
    let names = [
        "/dev/loop-control",
        "/dev/loop0",
        "/dev/mapper",
        "/dev/mapper/control",
        "/dev/md",
        "/dev/dm-0",
        "/dev/nbd0",
        "/dev/ram0",
        "/dev/nvme0n1",
        "/proc/mdstat",
        "/sys/kernel/config",
        "/sys/module/loop",
    ];
    assert!(Path::new(names[0]).exists(), "the host has one of them, or this shows nothing");
    assert_eq!(attempts(&root.path(), "os.stat(n)", &names), ["ENOENT"; 12]);
    assert_eq!(attempts(&root.path(), "os.open(n, os.O_PATH)", &names), ["ENOENT"; 12]);
    let relative = "os.stat(os.path.basename(n), dir_fd=os.open(os.path.dirname(n), os.O_PATH))";
    assert_eq!(attempts(&root.path(), relative, &names[..2]), ["ENOENT"; 2]);
}

/// A file in the host's `/dev`, which only a test would make.
struct HostFile(String);

impl HostFile {
    fn new(name: &str) -> HostFile {
        let path = format!("/dev/umc-test-{}-{name}", std::process::id());
        fs::write(&path, "the host's").unwrap();
        HostFile(path)
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        let left_alone = fs::remove_file(&self.0).is_ok();
        assert!(left_alone || std::thread::panicking(), "{} is gone", self.0);
    }
}

#[test]
fn a_name_that_nobody_knows_may_be_the_hosts() {
    let root = FakeRoot::new();
    let file = HostFile::new("known");
    for attempt in ["os.stat(n)", "open(n, 'r+')", "os.open(n, os.O_RDWR | os.O_CREAT)"] {
        assert_eq!(attempts(&root.path(), attempt, &[&file.0]), ["ok"], "{attempt}");
    }
    root.file(&file.0[1..], "the node's");
    let printed = said(root.command("cat").arg(&file.0));
    assert_eq!(printed, "the node's");
}

#[test]
fn nothing_is_made_or_removed_in_the_hosts_dev() {
    let root = FakeRoot::new();
    let name = format!("/dev/umc-test-{}", std::process::id());
    // Something that could be renamed into it.
    let _other = HostFile::new("other");
    for attempt in [
        "os.mkdir(n)",
        "os.mknod(n)",
        "os.mkfifo(n)",
        "os.symlink('null', n)",
        "os.link('/dev/null', n)",
        "os.close(os.open(n, os.O_WRONLY | os.O_CREAT, 0o600))",
        "os.close(os.open(n, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))",
        "open(n, 'w')",
        "os.rename(n + '-other', n)",
    ] {
        let answer = attempts(&root.path(), attempt, &[&name]);
        assert!(!was_on_host(&name), "{attempt}: {answer:?}");
        // Here the tree lets itself be written to.
        let made = root.path().join(&name[1..]);
        let _ = fs::remove_file(&made).or_else(|_| fs::remove_dir(&made));
    }
    let kept = HostFile::new("kept");
    for attempt in ["os.unlink(n)", "os.remove(n)", "os.rename(n, n + '2')", "os.rmdir(n)"] {
        assert_eq!(attempts(&root.path(), attempt, &[&kept.0]), ["ENOENT"], "{attempt}");
    }
}
