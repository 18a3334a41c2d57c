// SPDX-License-Identifier: GPL-2.0-only
//! Where the clusters of a test are, and what it asks of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::{Start, bin_dir, eventually, text};
use serde_json::Value;

/// A runtime directory for clusters, and a user. What is in it at the end of a test was left behind.
pub struct Host {
    /// It.
    pub dir: PathBuf,
    _temp: tempfile::TempDir,
    is_root: bool,
}

impl Host {
    pub fn new(is_root: bool) -> Host {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().to_owned();
        fs::create_dir(dir.join("run")).expect("a runtime directory");
        if !is_root {
            let nobody = Some(65534);
            std::os::unix::fs::chown(&dir, nobody, nobody).expect("its owner");
            std::os::unix::fs::chown(dir.join("run"), nobody, nobody).expect("its owner");
        }
        Host { dir, _temp: temp, is_root }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let umc = bin_dir().join("umc");
        let mut command = match self.is_root {
            true => Command::new(umc),
            false => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(umc);
                command
            }
        };
        command.args(args).current_dir(&self.dir);
        command.env("UMC_RUNTIME_DIR", self.dir.join("run")).env_remove("UMC_FS_ROOT");
        command.env_remove("UMC_CLUSTER").env("UMC_CACHE_DIR", cdrivers::cache_dir());
        command
    }

    pub fn umc(&self, args: &[&str]) -> Output {
        self.command(args).run().expect("umc runs")
    }

    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.umc(args);
        assert!(output.status.success(), "umc {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn fails(&self, args: &[&str], parts: &[&str]) {
        let output = self.umc(args);
        assert!(!output.status.success(), "umc {}: {}", args.join(" "), text(&output));
        for part in parts {
            assert!(text(&output).contains(part), "no {part}: {}", text(&output));
        }
    }

    /// A script on a node of the only cluster.
    pub fn on(&self, node: &str, script: &str) -> String {
        self.ok(&["cluster", "exec", node, "--", "sh", "-ec", script])
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["cluster", "status", "--json"])).expect("JSON")
    }

    /// How the connection of a node with a peer is.
    pub fn connection(&self, node: &str, peer: &str) -> String {
        let status = self.status();
        let rows = status["rows"].as_array().expect("rows").iter();
        let peers = rows
            .filter(|row| row["node"] == node)
            .flat_map(|row| row["peers"].as_array().expect("peers").clone());
        let found = peers.into_iter().find(|of| of["node"] == peer);
        found.map_or("-".into(), |of| of["connection"].as_str().unwrap_or_default().to_owned())
    }

    /// Every disk, as every node sees it.
    pub fn is_in_sync(&self) -> bool {
        let status = self.status();
        let mut rows = status["rows"].as_array().expect("rows").iter();
        rows.all(|row| {
            let disks = row["disks"].as_array().expect("disks");
            let mut peers = row["peers"].as_array().expect("peers").iter();
            !disks.is_empty()
                && disks.iter().all(|disk| disk == "UpToDate")
                && peers.all(|peer| {
                    peer["replication"]
                        .as_array()
                        .is_some_and(|of| of.iter().all(|r| r == "Established"))
                })
        })
    }

    pub fn clusters(&self) -> PathBuf {
        self.dir.join("run/.clusters")
    }

    /// No file, no process, no mount, no loop device.
    pub fn is_clean(&self) {
        eventually("nothing of a cluster in the file system", || !self.clusters().exists());
        let dir = self.dir.display().to_string();
        eventually("no process of a cluster", || processes(&dir).is_empty());
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        assert!(!mounts.contains(&dir), "{mounts}");
    }
}

impl Drop for Host {
    /// What a test that failed left is ended.
    fn drop(&mut self) {
        for cluster in fs::read_dir(self.clusters()).into_iter().flatten().flatten() {
            if cluster.path().join("cluster.json").exists() {
                kill(&keeper(&cluster.path(), "keeper"));
            }
        }
        let end = std::thread::panicking();
        if end && self.clusters().exists() {
            eventually("nothing is left", || !self.clusters().exists());
        }
    }
}

/// Processes that name the directory.
pub fn processes(dir: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = all.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(dir) && !line.contains("guard")).collect()
}

pub fn keeper(cluster: &Path, which: &str) -> String {
    let record = fs::read_to_string(cluster.join("cluster.json")).expect("the record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    record[which]["pid"].to_string()
}

pub fn kill(pid: &str) {
    let killed = Command::new("kill").args(["-9", pid]).run_shown();
    assert!(killed.expect("kill runs").success());
}

/// What a process started, and still runs: process numbers and command lines.
pub fn children(of: u32) -> Vec<(u32, String)> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        parent_and_state(*pid).is_some_and(|(parent, state)| parent == of && state != "Z")
    };
    let line = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, String::from_utf8_lossy(&words).replace('\0', " "))
    };
    pids.filter(is_child).map(line).collect()
}

/// Who started a process, and what it does (`Z`: it has ended).
pub fn parent_and_state(pid: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.to_owned();
    Some((fields.next()?.parse().ok()?, state))
}
