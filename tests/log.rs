// SPDX-License-Identifier: GPL-2.0-only
//! A node and its log: the log may be cut off, or its disk full, and the node goes on; it does not grow for ever.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cluster::{Start, bin_dir, eventually, text};

const NODE: &str = "log-a";
/// More than the log may be long.
const ROOM_MIB: usize = 12;

/// A runtime directory of a size of its own.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Host {
        let host =
            Host(std::env::temp_dir().join(format!("umc-test-log-{name}-{}", std::process::id())));
        fs::create_dir_all(&host.0).unwrap();
        let size = format!("size={ROOM_MIB}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "umc-test"])
            .arg(&host.0)
            .run()
            .unwrap();
        assert!(mount.status.success(), "{}", text(&mount));
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(NODE).join(name)
    }

    /// `umc ARGS…`: whether it succeeds, and what it says.
    fn umc(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new(bin_dir().join("umc"));
        command.args(args).env("UMC_RUNTIME_DIR", &self.0).env_remove("UMC_FS_ROOT");
        let output = command.run().unwrap();
        (output.status.success(), text(&output))
    }

    fn umc_ok(&self, args: &[&str]) -> String {
        let (ok, shown) = self.umc(args);
        assert!(ok, "umc {}: {shown}", args.join(" "));
        shown
    }

    /// Starts umcd itself, and waits until it answers.
    fn umcd(&self, stderr: Stdio) -> Child {
        let mut umcd = Command::new(bin_dir().join("umcd"))
            .args(["--name", NODE, "--root"])
            .arg(self.path("root"))
            .env("UMC_RUNTIME_DIR", &self.0)
            .stdin(Stdio::null())
            .stderr(stderr)
            .start()
            .unwrap();
        eventually("the node is up", || {
            assert!(umcd.try_wait().unwrap().is_none(), "it ended");
            self.path("node.json").exists()
        });
        umcd
    }

    /// Has the node write a line to its log.
    fn say_something(&self) {
        fs::write(self.path("root/proc/sysrq-trigger"), "h").unwrap();
    }

    /// Leaves no room.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = File::create(&path).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.umc(&["stop", NODE]);
        for path in [self.path("root"), self.0.clone()] {
            let _ = Command::new("umount").args(["-l", "-q"]).arg(path).run();
        }
        let _ = fs::remove_dir(&self.0);
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn a_reader_of_the_log_that_goes_away_does_not_end_the_node() {
    let host = Host::new("pipe");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut umcd = host.umcd(writer.into());
    host.say_something();
    assert!(host.umc_ok(&["dmesg", NODE]).contains("the log cannot be written: Broken pipe"));
    host.umc_ok(&["stop", NODE]);
    assert_eq!(umcd.wait().unwrap().code(), Some(0));
}

#[test]
fn a_full_disk_is_said_later_and_a_long_log_goes_on_anew() {
    let host = Host::new("full");
    host.umc_ok(&["start", NODE]);
    let filler = host.fill();
    for _ in 0..100 {
        host.say_something();
    }
    let shown = host.umc_ok(&["dmesg", NODE]);
    assert_eq!(shown.matches("the log cannot be written: No space left on device").count(), 1);
    fs::remove_file(filler).unwrap();
    host.say_something();
    let log = fs::read_to_string(host.path("log")).unwrap();
    for (place, shown) in [("dmesg", host.umc_ok(&["dmesg", NODE])), ("log", log)] {
        assert!(shown.contains("the log is written again; "), "{place}: {shown}");
    }

    let mut log = File::options().append(true).open(host.path("log")).unwrap();
    log.write_all(&[b'x'; 4 << 20]).unwrap();
    host.say_something();
    assert!(size(&host.path("log.1")) >= 4 << 20);
    assert!((1..4096).contains(&size(&host.path("log"))));
    host.umc_ok(&["stop", NODE]);
    // The last words are in the file that goes by the name.
    assert!(fs::read_to_string(host.path("log")).unwrap().contains("goes down"));
}

#[test]
fn a_node_without_room_for_its_log_says_why_it_does_not_start() {
    let host = Host::new("start");
    fs::create_dir_all(host.path("state")).unwrap();
    host.fill();
    let (ok, shown) = host.umc(&["start", NODE]);
    assert!(!ok && shown.contains("No space left on device"), "{shown}");
    assert!(!shown.contains("status: 70"), "{shown}");
}

#[test]
fn why_a_node_does_not_start_is_in_its_log_and_shown_once() {
    let host = Host::new("why");
    let (ok, shown) = host.umc(&["start", NODE, "--disk", "d=ram/"]);
    assert!(!ok, "{shown}");
    let mut log = String::new();
    File::open(host.path("log")).unwrap().read_to_string(&mut log).unwrap();
    let line = log.lines().last().unwrap();
    assert!(line.starts_with("umcd: "), "{log}");
    assert_eq!(shown.matches(line).count(), 1, "{shown}");
}
