// SPDX-License-Identifier: GPL-2.0-only
//! The path map and the host name, through shells, coreutils and python.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::{FakeRoot, both, said};

#[test]
fn shells_and_coreutils_read_the_nodes_files() {
    let root = FakeRoot::new();
    for shell in ["dash", "bash"] {
        let version =
            root.sh(shell, "test -f /proc/drbd && read line < /proc/drbd && echo \"$line\"");
        assert_eq!(version, "version: 8.4.11 (api:1/proto:86-101)\n", "{shell}");
        assert_eq!(root.sh(shell, "cat //sys/./block/drbd0/../drbd0/size"), "2048\n");
        assert_eq!(root.sh(shell, "cd / && cat dev/drbd0"), "block zero");
        assert_eq!(root.sh(shell, "cd /dev && cat drbd0 ./disk0"), "block zeroa disk below");
        assert_eq!(root.sh(shell, "cd /sys/block && cat drbd0/size"), "2048\n");
        assert_eq!(root.sh(shell, "cat /sys/module/brd/parameters/rd_nr"), "16\n");
        assert_eq!(root.sh(shell, "test -e /proc/partitions || echo none"), "none\n");
    }
    assert_eq!(root.sh("sh", "ls /sys/block"), "drbd0\n");
    assert_eq!(root.sh("sh", "stat -c %s /dev/drbd0"), "10\n");
    assert_eq!(root.sh("sh", "readlink -f /dev/drbd0"), "/dev/drbd0\n");
    assert_eq!(root.sh("sh", "uname -n"), "alpha\n");
}

#[test]
fn python_sees_the_same() {
    let root = FakeRoot::new();
    let script = "import os,glob,socket
print(open('/proc/drbd').read().split()[1])
print(os.uname().nodename, socket.gethostname())
print(glob.glob('/dev/drbd*'), os.path.realpath('/sys/block/drbd0'), os.listdir('/sys/block'))
print([e.name for e in os.scandir('/sys/block')], os.access('/dev/drbd1', os.F_OK))
os.chdir('/'); print(os.path.getsize('dev/drbd0'))
d = os.open('/sys/block', os.O_RDONLY); print(os.stat('drbd0/size', dir_fd=d).st_size)";
    let printed = said(root.command("python3").arg("-c").arg(script));
    // python's glob lists /dev; its realpath asks for each link itself.
    let want =
        "8.4.11\nalpha alpha\n['/dev/drbd0'] /sys/block/drbd0 ['drbd0']\n['drbd0'] False\n10\n5\n";
    assert_eq!(printed, want);
}

#[test]
fn the_hosts_files_stay_the_hosts() {
    let root = FakeRoot::new();
    root.file("dev/null", "not this");
    root.file("etc/passwd", "not this either");
    assert_eq!(root.sh("sh", "echo gone > /dev/null; wc -c < /dev/null"), "0\n");
    let host = fs::metadata("/etc/passwd").unwrap().ino().to_string();
    assert_eq!(root.sh("sh", "stat -c %i /etc/passwd").trim(), host);
    assert_eq!(root.sh("sh", "test -d /proc/self/fd && echo yes"), "yes\n");
    let prefixed = format!("cat {}/dev/drbd0", root.path().display());
    assert_eq!(root.sh("sh", &prefixed), "block zero");
}

#[test]
fn links_of_the_host_lead_to_the_nodes_names() {
    let root = FakeRoot::new();
    let dir = root.host("links").display().to_string();
    fs::create_dir_all(&dir).unwrap();
    fs::write(root.host("links/plain"), "plain").unwrap();
    let up = "/..".repeat(dir.split('/').count() - 1);
    let run = |script: &str| root.sh("sh", &format!("cd {dir}; {script}"));
    let links = format!(
        "ln -s /dev/drbd0 block; ln -s block chain; ln -s {dir}{up}/dev/disk0 disk; ln -s .{up}/dev/disk0 near
        ln -s /dev devices; ln -s {dir} here; ln -s plain file; ln -s nowhere broken; ln -s /dev/drbd_umc_test missing
        ln -s /dev/null null; ln -s loop loop"
    );
    assert_eq!(run(&links), "");
    for (name, text) in [
        ("block", "block zero"),
        ("chain", "block zero"),
        ("disk", "a disk below"),
        ("near", "a disk below"),
        ("devices/drbd0", "block zero"),
        ("here/here/chain", "block zero"),
        ("file", "plain"),
        ("here/plain", "plain"),
        ("null", ""),
    ] {
        assert_eq!(run(&format!("cat {name}")), text, "{name}");
        assert_eq!(run(&format!("cat {dir}/{name}")), text, "{name}");
    }
    // Names that the host has too, as files of its own or in a directory of the kernel's.
    for (name, text) in [("proc/sysrq-trigger", "keys"), ("dev/mapper/control", "maps")] {
        let file = root.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    assert_eq!(
        run("ln -s /proc kernel; cat kernel/sysrq-trigger devices/mapper/control; rm kernel"),
        "keysmaps"
    );
    // A link that stands for a directory is followed, whatever is done with the name in it.
    assert_eq!(run("stat -c %F devices/drbd0"), "regular file\n");
    let entry = format!("dev/umc-test-{}", std::process::id());
    assert_eq!(run(&format!("ln -s nowhere {dir}/devices/{}", &entry[4..])), "");
    assert!(root.path().join(&entry).is_symlink() && !Path::new("/").join(&entry).is_symlink());
    assert_eq!(run(&format!("rm devices/{}", &entry[4..])), "");
    assert!(!root.path().join(&entry).is_symlink());
    // What is asked of the link itself.
    assert_eq!(
        run("readlink block; stat -c %F block; stat -L -c '%F %s' block"),
        "/dev/drbd0\nsymbolic link\nregular file 10\n"
    );
    assert_eq!(run("realpath chain devices/drbd0"), "/dev/drbd0\n/dev/drbd0\n");
    // What is made where a link leads is the node's, or the host's, as its name is.
    assert_eq!(run("test -e missing || echo none; echo made > missing"), "none\n");
    assert_eq!(fs::read_to_string(root.path().join("dev/drbd_umc_test")).unwrap(), "made\n");
    assert!(!Path::new("/dev/drbd_umc_test").exists());
    assert_eq!(
        run(
            "echo new > broken; cat nowhere; echo more > here/other; cat other; cat loop || echo loop"
        ),
        "new\nmore\nloop\n"
    );
    assert_eq!(
        run("rm block; ls; cat /dev/drbd0"),
        "broken\nchain\ndevices\ndisk\nfile\nhere\nloop\nmissing\nnear\nnowhere\nnull\nother\nplain\nblock zero"
    );
    let python = "import os
os.chdir(os.sys.argv[1])
at = os.open('.', os.O_RDONLY)
print(os.read(os.open('disk', os.O_RDONLY, dir_fd=at), 6), os.path.islink('disk'), os.lstat('disk').st_size > 8)
try: os.open('disk', os.O_RDONLY | os.O_NOFOLLOW)
except OSError as e: print(e.strerror)";
    let printed = said(root.command("python3").args(["-c", python, &dir]));
    assert_eq!(printed, "b'a disk' True True\nToo many levels of symbolic links\n");
}

#[test]
fn state_of_the_tools_is_the_nodes_own() {
    let root = FakeRoot::new();
    root.sh(
        "sh",
        "echo a > /var/lib/drbd/x; mkdir /var/run/drbd/d; mv /var/lib/drbd/x /run/drbd/y",
    );
    root.sh("sh", "ln -s target /run/drbd/link; touch /var/lock/drbd-147-0; chmod 600 /run/drbd/y");
    assert_eq!(fs::read_to_string(root.host("state/run-drbd/y")).unwrap(), "a\n");
    assert!(root.host("state/run-drbd/d").is_dir());
    assert!(root.host("state/lock/drbd-147-0").is_file());
    assert_eq!(fs::read_link(root.host("state/run-drbd/link")).unwrap().to_str(), Some("target"));
    root.sh("sh", "rm /run/drbd/link /run/drbd/y; rmdir /run/drbd/d");
    assert_eq!(fs::read_dir(root.host("state/run-drbd")).unwrap().count(), 0);
}

#[test]
fn opening_for_truncation_leaves_the_trees_files_long() {
    let root = FakeRoot::new();
    root.sh("sh", "printf B > /dev/drbd0; printf 9 > /sys/block/drbd0/size");
    assert_eq!(fs::read_to_string(root.path().join("dev/drbd0")).unwrap(), "Block zero");
    assert_eq!(fs::read_to_string(root.path().join("sys/block/drbd0/size")).unwrap(), "9048\n");
    root.sh("sh", "echo long > /run/drbd/f; echo s > /run/drbd/f");
    assert_eq!(fs::read_to_string(root.host("state/run-drbd/f")).unwrap(), "s\n");
}

/// A special file would lead to the host's driver of its number.
#[test]
fn a_special_file_of_the_nodes_device_is_a_link_to_it() {
    let root = FakeRoot::new();
    root.file("sys/dev/block/147:0/uevent", "MAJOR=147\nMINOR=0\nDEVNAME=drbd0\nDEVTYPE=disk\n");
    root.file("sys/dev/char/10:236/uevent", "MAJOR=10\nMINOR=236\nDEVNAME=mapper/control\n");
    fs::create_dir(root.path().join("dev/mapper")).unwrap();
    root.sh("sh", "mknod /dev/mapper/x b 147 0 && mknod /dev/mapper/control c 10 236");
    let link = |name: &str| fs::read_link(root.path().join("dev/mapper").join(name)).unwrap();
    assert_eq!(link("x").to_str(), Some("/dev/drbd0"));
    assert_eq!(link("control").to_str(), Some("/dev/mapper/control"));
    // Outside of the node's directories as well.
    let elsewhere = root.host("node");
    let script = format!("mknod {0} b 147 0 && cat {0}", elsewhere.display());
    assert_eq!(root.sh("sh", &script), "block zero");
    assert_eq!(fs::read_link(elsewhere).unwrap().to_str(), Some("/dev/drbd0"));
    // A number that the node does not have is nobody's: not the host's either, whatever it has there.
    for name in ["/dev/mapper/none", root.host("none").to_str().unwrap()] {
        let script = "import errno, os, sys
os.mknod(sys.argv[1], 0o060600, os.makedev(7, 0))
try: os.open(sys.argv[1], os.O_RDONLY)
except OSError as e: print(errno.errorcode[e.errno])
os.unlink(sys.argv[1])";
        let said = said(root.command("python3").args(["-c", script, name]));
        assert_eq!(said.trim_end(), "ENXIO", "{name}");
    }
}

#[test]
fn the_hosts_keyrings_and_file_systems_are_left_alone() {
    let root = FakeRoot::new();
    root.file("sys/kernel/config/x", "");
    let script = "import ctypes, errno, platform
l = ctypes.CDLL(None, use_errno=True)
numbers = dict(x86_64=(248, 249, 250), aarch64=(217, 218, 219))[platform.machine()]
for number in numbers: assert l.syscall(ctypes.c_long(number), b'user', b'umc-test', b'x', 1, -4) == -1 and ctypes.get_errno() == errno.ENOSYS
assert l.mount(b'none', b'/sys/kernel/config', b'configfs', 0, None) == 0
assert l.fsopen(b'configfs', 0) == -1 and ctypes.get_errno() == errno.ENOSYS";
    said(root.command("python3").args(["-c", script]));
    assert!(!fs::read_to_string("/proc/keys").unwrap_or_default().contains("umc-test"));
}

#[test]
fn without_the_variable_nothing_is_redirected() {
    let root = FakeRoot::new();
    let script = "test -e /dev/drbd0 || echo none; uname -n";
    let here = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let mut command = root.command("sh");
    command.env_remove("UMC_FS_ROOT").arg("-c").arg(script);
    assert_eq!(said(&mut command), format!("none\n{here}"));
    command.env("UMC_FS_ROOT", "");
    assert_eq!(said(&mut command), format!("none\n{here}"));
}

#[test]
fn a_relative_root_stops_the_program() {
    let root = FakeRoot::new();
    let output = root.command("cat").env("UMC_FS_ROOT", "here").arg("/proc/drbd").output().unwrap();
    assert_eq!(output.status.code(), Some(126), "{}", both(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not an absolute path"));
}

#[test]
fn drbdmeta_works_on_a_plain_file_and_locks_in_the_nodes_directory() {
    let root = FakeRoot::new();
    let disk = root.host("disk.img");
    fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
    let drbdmeta = |command: &str| {
        let mut drbdmeta = root.command("drbdmeta");
        drbdmeta.args(["--force", "0", "v08"]).arg(&disk).arg("internal").arg(command);
        drbdmeta
    };
    let output = drbdmeta("create-md").output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert!(said(&mut drbdmeta("dump-md")).contains("version \"v08\""));
    assert!(root.host("state/lock/drbd-147-0").is_file());
}
