// SPDX-License-Identifier: GPL-2.0-only
//! The node commands, against a stand-in for umcd.
//!
//! Goal: start, stop, ls, run and env keep their promises whatever the node does. Method: `umc` is
//! copied beside a python program called `umcd`, which keeps the contract of `umc-protocol` (socket,
//! then record) and does what the options name tells it to: come up, fail, refuse to stop. Without
//! python3 the tests say so and pass.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

use cluster::Start;
use tempfile::TempDir;

const UMCD: &str = r#"#!/usr/bin/env python3
import fcntl, json, os, socket, sys
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name, base = a['--name'], os.environ['UMC_RUNTIME_DIR'] + '/' + a['--name']
if a.get('--disk') == 'd=fail/':
    print('\n'.join(f'line {n}' for n in range(50)), 'the disk is on fire', sep='\n', file=sys.stderr)
    sys.exit(3)
os.makedirs(a['--root'], exist_ok=True)
alive = open(base + '/node.lock', 'w'); fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
open(a['--log'], 'w').write('begun')
# What the host takes its time to take apart, when it dies.
ballast = bytearray(b'x') * (300 << 20) if a.get('--disk') == 'large=ram/,size=1M' else None
assert 'UMC_FS_ROOT' not in os.environ and 'umc_preload' not in os.environ.get('LD_PRELOAD', '')
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(base + '/control'); s.listen(8)
stat = open('/proc/self/stat').read(); start = int(stat[stat.rindex(')'):].split()[20])
record = dict(name=name, pid=os.getpid(), start_time=start, root=a['--root'], state=a['--state'],
    control=base + '/control', started=1)
json.dump(record, open(base + '/tmp', 'w')); os.rename(base + '/tmp', base + '/node.json')
refusals = 1 if a.get('--disk') == 'd=busy/' else 0
while True:
    c, _ = s.accept(); assert c.recv(100) == b'UMCctl\0\0'
    while d := c.recv(100000):
        q = json.loads(d); op = q['op']
        ok = {'status': dict(record, modules=[dict(name='drbd')], disks=[dict(name='drbd0', major=147, minor=0,
            size=1 << 20, backing='drbd')]), 'lsmod': [dict(name='drbd', size=4096, refs=2, used_by=['x'])]}
        if op == 'stop' and refusals:
            refusals = 0; r = dict(error='Cannot stop node: drbd0 is open.')
        elif op == 'stop':
            c.send(b'{"ok":null}'); os.unlink(base + '/node.json'); os.unlink(base + '/control'); sys.exit(0)
        elif op == 'dmesg':
            for n in range(2):
                c.send(json.dumps(dict(ok=dict(records=[dict(seq=n, level=6, time_ns=n, text='hello')], more=n == 0))).encode())
            continue
        elif op in ok: r = dict(ok=ok[op])
        else: r = dict(error='Cannot ' + op + ': no. ' + json.dumps(q, sort_keys=True))
        c.send(json.dumps(r).encode())
"#;

struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Host {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(env!("CARGO_BIN_EXE_umc"), dir.path().join("umc")).unwrap();
        fs::write(dir.path().join("umcd"), UMCD).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path().join("umcd"), mode).unwrap();
        // Nothing is preloaded in these tests: an empty name of the right shape is enough.
        fs::write(dir.path().join("libumc_preload.so"), "").unwrap();
        Host { dir }
    }

    fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    fn umc(&self, arguments: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("umc"));
        command.args(arguments.split(' ')).env("UMC_RUNTIME_DIR", self.run_dir());
        command.env_remove("UMC_FS_ROOT").env_remove("LD_PRELOAD").env("LC_ALL", "C");
        command
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.umc(arguments).run().unwrap();
        assert!(output.status.success(), "umc {arguments}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, arguments: &str) -> String {
        let output = self.umc(arguments).run().unwrap();
        assert_eq!(output.status.code(), Some(1), "umc {arguments}: {}", said(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    fn pid(&self, node: &str) -> i32 {
        let record = fs::read_to_string(self.run_dir().join(node).join("node.json")).unwrap();
        let rest = record.split("\"pid\": ").nth(1).unwrap();
        rest[..rest.find([',', '}']).unwrap()].parse().unwrap()
    }
}

impl Drop for Host {
    /// A test that failed leaves no node behind.
    fn drop(&mut self) {
        for name in ["alpha", "beta"] {
            let _ = self.umc(&format!("stop {name}")).run();
        }
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_node_starts_is_listed_and_stops() {
    let host = Host::new();
    assert!(host.ok("start alpha").starts_with("Node alpha is up, root "));
    let pid = host.pid("alpha");
    let listed = host.ok("ls");
    let row: Vec<_> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    let root = host.run_dir().join("alpha/root").display().to_string();
    assert_eq!(row, ["alpha", &pid.to_string(), &root, "drbd", "drbd0"]);
    let again = host.fails("start alpha");
    assert!(again.contains("is running already") && again.contains("umc stop alpha"), "{again}");
    host.ok("stop alpha");
    assert!(!PathBuf::from(format!("/proc/{pid}/exe")).exists(), "stop returns after its end");
    assert!(host.fails("stop alpha").contains("Node alpha is not running"));
    assert_eq!(host.ok("ls").lines().count(), 1);
}

#[test]
fn a_node_in_use_says_so_and_goes_on() {
    let host = Host::new();
    host.ok("start alpha --disk d=busy/");
    assert_eq!(host.fails("stop alpha"), "umc: Cannot stop node: drbd0 is open.\n");
    host.ok("stop alpha");
}

#[test]
fn a_node_that_fails_shows_the_end_of_its_log() {
    let host = Host::new();
    let text = host.fails("start alpha --disk d=fail/");
    assert!(text.contains("the disk is on fire\n") && text.contains("line 49\n"), "{text}");
    assert!(!text.contains("line 10\n"), "only the end: {text}");
    assert!(text.contains("did not come up") && text.contains("alpha/log"), "{text}");
    assert_eq!(host.ok("ls").lines().count(), 1);
}

#[test]
fn a_killed_node_is_dead_until_it_is_started_again() {
    let host = Host::new();
    for remedy in ["start alpha", "stop alpha"] {
        if remedy == "start alpha" {
            host.ok("start alpha");
        }
        let pid = nix::unistd::Pid::from_raw(host.pid("alpha"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        while host.ok("ls").contains(&format!(" {pid} ")) {}
        assert!(host.ok("ls").lines().nth(1).unwrap().contains(" dead "));
        assert!(host.fails("run alpha -- true").contains("is dead"));
        host.ok(remedy);
    }
    assert_eq!(host.ok("ls").lines().count(), 1);
}

#[test]
fn a_nodes_directory_is_no_link() {
    let host = Host::new();
    let elsewhere = host.dir.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::create_dir_all(host.run_dir()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, host.run_dir().join("alpha")).unwrap();
    let refused = host.fails("start alpha");
    assert!(refused.contains("alpha for a node: it is no directory of its own"), "{refused}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_node_that_dies_just_now_is_waited_for() {
    let host = Host::new();
    for remedy in ["start alpha --disk large=ram/,size=1M", "stop alpha"] {
        if remedy != "stop alpha" {
            host.ok(remedy);
        }
        let pid = nix::unistd::Pid::from_raw(host.pid("alpha"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        host.ok(remedy);
    }
    assert_eq!(host.ok("ls").lines().count(), 1);
}

#[test]
fn a_dead_node_is_not_cleared_up_under_its_successor() {
    let host = Host::new();
    host.ok("start alpha");
    let pid = nix::unistd::Pid::from_raw(host.pid("alpha"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    while !host.ok("ls").contains(" dead ") {}
    // One that is about to come up: it listens, and has not written its record yet.
    let dir = host.run_dir().join("alpha");
    let lock = fs::File::options().write(true).open(dir.join("node.lock")).unwrap();
    let successor =
        nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).map_err(drop).unwrap();
    assert!(host.fails("stop alpha").contains("is being started again"));
    assert!(dir.join("node.json").exists() && dir.join("control").exists());
    drop(successor);
    assert!(host.ok("stop alpha").contains("is cleaned up"));
    assert!(!dir.join("node.json").exists() && !dir.join("control").exists());
}

#[test]
fn programs_are_given_the_node() {
    let host = Host::new();
    assert!(host.fails("run -- true").contains("No node is running. Start one"));
    host.ok("start alpha");
    let root = host.run_dir().join("alpha/root").display().to_string();
    let library = host.dir.path().join("libumc_preload.so").display().to_string();
    assert!(host.ok("run -- env").contains(&format!("UMC_FS_ROOT={root}\n")));
    let exports = host.ok("env alpha");
    let node = format!("export UMC_FS_ROOT='{root}'\nexport LD_PRELOAD='{library}'\n");
    // And what keeps tools from asking the host's udev.
    let udev = "export DM_DISABLE_UDEV='1'\nexport MDADM_NO_UDEV='1'\nexport SYSTEMD_DEVICE_VERIFY_SYSFS='0'\n";
    assert_eq!(exports, node + udev);

    host.ok("start beta");
    assert!(host.fails("run -- true").contains("alpha, beta"));
    let of_root = host.umc("env").env("UMC_FS_ROOT", format!("{root}/")).run().unwrap();
    assert_eq!(String::from_utf8_lossy(&of_root.stdout), exports);
    let elsewhere = host.umc("env").env("UMC_FS_ROOT", "/nowhere").run().unwrap();
    assert!(said(&elsewhere).contains("No running node has the root /nowhere"));
    for (command, code) in [("false", 1), ("/no/such/program", 127), ("/", 126)] {
        let output = host.umc(&format!("run alpha -- {command}")).run().unwrap();
        assert_eq!(output.status.code(), Some(code), "{command}: {}", said(&output));
    }
}

#[test]
fn requests_reach_the_node_and_its_refusals_the_user() {
    let host = Host::new();
    host.ok("start alpha");
    assert!(
        host.ok("lsmod").lines().nth(1).unwrap().split_whitespace().eq(["drbd", "4096", "2", "x"])
    );
    assert_eq!(host.ok("dmesg alpha"), "[    0.000000] hello\n[    0.000000] hello\n");
    let refused = host.fails("disk -n alpha add d0 ram/,size=1M");
    assert!(
        refused.contains(r#"{"name": "d0", "op": "disk_add", "size": 1048576, "spec": "ram/"}"#)
    );
    assert!(host.fails("rmmod nothing").contains("Cannot rmmod: no."));
    assert!(host.fails("rmmod -n gamma drbd").contains("Node gamma is not running"));
    assert!(host.fails("start a/b").contains("cannot name a node"));
}

#[test]
fn called_as_a_program_of_kmod_it_acts_as_that() {
    let host = Host::new();
    host.ok("start alpha");
    for name in ["modprobe", "rmmod"] {
        std::os::unix::fs::symlink(host.dir.path().join("umc"), host.dir.path().join(name))
            .unwrap();
    }
    let applet = |line: &str| {
        let mut words = line.split(' ');
        let mut command = Command::new(host.dir.path().join(words.next().unwrap()));
        command.args(words).env("UMC_RUNTIME_DIR", host.run_dir()).env_remove("UMC_FS_ROOT");
        said(&command.run().unwrap())
    };
    assert!(applet("modprobe -s drbd minor_count=8").starts_with("exit status: 0"), "it is loaded");
    assert!(applet("modprobe --first-time drbd").contains("loaded already"));
    assert!(applet("modprobe -C x drbd").contains("-C is not supported"));
    assert!(applet("rmmod drbd").contains(r#"{"name": "drbd", "op": "rmmod"}"#));
}

/// Something that is no node hides no node.
#[test]
fn what_is_no_node_is_named_and_the_nodes_are_listed() {
    let host = Host::new();
    host.ok("start alpha");
    fs::write(host.run_dir().join("stray"), "hi").unwrap();
    fs::create_dir(host.run_dir().join("empty")).unwrap();
    fs::create_dir(host.run_dir().join("broken")).unwrap();
    fs::write(host.run_dir().join("broken/node.json"), "{").unwrap();
    let output = host.umc("ls").run().unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && listed.lines().count() == 2, "{}", said(&output));
    assert!(listed.contains("alpha"), "{listed}");
    let strange = String::from_utf8_lossy(&output.stderr);
    let strange: Vec<_> = strange.lines().collect();
    assert_eq!(strange.len(), 2, "{strange:?}");
    for what in ["broken/node.json", "stray is not a node's directory"] {
        assert!(strange.iter().any(|line| line.contains(what)), "{what}: {strange:?}");
    }
    // And the only node that runs is still the only one.
    assert!(host.ok("lsmod").contains("drbd"));
}

#[test]
fn a_node_of_another_user_is_told_from_one_that_hangs() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::new();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(host.dir.path(), open).unwrap();
    host.ok("start alpha");
    let ls = host.umc("ls");
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    other.arg(ls.get_program()).arg("ls").env("UMC_RUNTIME_DIR", host.run_dir());
    let output = other.run().unwrap();
    assert!(said(&output).contains("(another user's)"), "{}", said(&output));
}

/// Nothing is started where the words are wrong already, and each mistake is shown as it would be right.
#[test]
fn mistakes_are_shown_as_they_would_be_right() {
    let host = Host::new();
    let refused = |arguments: &str| {
        let output = host.umc(arguments).run().unwrap();
        assert!(!output.status.success(), "umc {arguments}: {}", said(&output));
        said(&output)
    };
    for (disk, right) in [
        ("r0=/srv/x", "file//srv/x"),
        ("r0=file/srv/x", "file//srv/x"),
        ("/dev/r0=ram/,size=1M", "r0, not /dev/r0"),
        ("r0=file//x,size=1M;direct=off", "'file//x;direct=off,size=1M'"),
        ("r0", "NAME=HANDLER/CONFIG"),
    ] {
        let says = refused(&format!("start alpha --disk {disk}"));
        assert!(says.contains(right), "{disk}: {says}");
        assert!(!host.run_dir().join("alpha").exists(), "{disk}: a node was begun");
    }
    host.ok("start alpha");
    for (disk, right) in [("/dev/r0 ram/", "r0, not /dev/r0"), ("r0 /x", "file//x")] {
        let says = refused(&format!("disk add {disk}"));
        assert!(says.contains(right), "{disk}: {says}");
    }
    let says = refused("insmod alpha drbd");
    assert!(
        says.contains("alpha is a node") && says.contains("umc insmod -n alpha drbd"),
        "{says}"
    );
    let says = refused("insmod -n alpha /no/such/nix.so");
    assert!(says.contains("/no/such/nix.so") && says.contains("umc build DIR"), "{says}");
    assert!(!says.contains("umc build /"), "{says}");
}

/// A node is named in the same way wherever it is named.
#[test]
fn a_node_is_named_by_its_place_or_by_the_option() {
    let host = Host::new();
    host.ok("start -n alpha");
    host.ok("start beta");
    for name in ["alpha", "-n alpha", "--node alpha"] {
        assert!(host.ok(&format!("lsmod {name}")).contains("drbd"), "{name}");
        assert!(host.ok(&format!("env {name}")).contains("alpha/root"), "{name}");
        assert!(host.ok(&format!("dmesg {name}")).contains("hello"), "{name}");
        assert!(host.fails(&format!("disk ls {name}")).contains("disk_ls"), "{name}");
        let mut run = host.umc(&format!("run {name} -- sh -c"));
        let output = run.arg("echo $UMC_FS_ROOT").run().unwrap();
        assert!(said(&output).contains("alpha/root"), "{name}: {}", said(&output));
    }
    assert!(host.fails("disk -n alpha ls beta").contains("Which node"));
    host.ok("stop -n alpha");
}

/// Shells are offered the nodes of the moment.
#[test]
fn nodes_are_completed() {
    let host = Host::new();
    host.ok("start alpha");
    for (line, index) in [("stop a", 2), ("run a", 2), ("disk -n a", 3), ("disk ls a", 3)] {
        let mut complete = host.umc("-- umc");
        complete.args(line.split(' '));
        complete.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index.to_string());
        complete.env("_CLAP_IFS", "\n");
        let output = complete.run().unwrap();
        let offered = String::from_utf8_lossy(&output.stdout).into_owned();
        let offered: Vec<_> = offered.lines().map(str::trim).collect();
        assert_eq!(offered, ["alpha"], "{line}: {}", said(&output));
    }
    // Without a node the first word behind the dashes is the command.
    let mut complete = host.umc("-- umc run -- en");
    let output = complete.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3").run().unwrap();
    assert!(said(&output).contains("env"), "{}", said(&output));
}
