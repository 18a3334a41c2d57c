// SPDX-License-Identifier: GPL-2.0-only
//! A node whose memory is short while a file system on its device has all of it dirty.
//!
//! Goal: nobody waits for himself. Method: both nodes and a program that fills the file system share a memory cgroup that
//! is smaller than what is written, so that memory is freed by writing through the nodes, which need memory for it.
//! Checked: the writing ends, and the data is there. That takes such a cgroup and CAP_SYS_RESOURCE, without which the node
//! does stand still; then it is only checked that the node's log says so.

use std::fs;
use std::path::{Path, PathBuf};

use cluster::{Cluster, Layout, text};

/// Flags of a task (`PF_MEMALLOC_NOIO`, `PF_LOCAL_THROTTLE`): what PR_SET_IO_FLUSHER sets.
const IO_FLUSHER: u64 = 0x0008_0000 | 0x0010_0000;

fn is_io_flusher(task: &Path) -> bool {
    let stat = fs::read_to_string(task.join("stat")).expect("a thread of the node");
    // Behind the name, which may have anything in it: state, five numbers, flags.
    let (_, after) = stat.rsplit_once(')').expect("a name");
    let flags = after.split_whitespace().nth(6).expect("flags").parse::<u64>().expect("a number");
    flags & IO_FLUSHER == IO_FLUSHER
}

/// Whether nodes may be prepared here: CAP_SYS_RESOURCE.
fn may_prepare() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("this process");
    let caps = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("capabilities");
    u64::from_str_radix(caps.trim(), 16).expect("a number") & 1 << 24 != 0
}

#[test]
fn every_thread_is_prepared_or_the_log_says_so() {
    let cluster = Cluster::in_sync("flusher", Layout { disk_mib: 16, ..Layout::default() });
    let pid = cluster.pid(cluster.a()).expect("a node");
    let log = cluster.root(cluster.a()).with_file_name("log");
    let says_so = fs::read_to_string(log).expect("its log").contains("not prepared for a lack");
    assert_eq!(says_so, !may_prepare());
    if says_so {
        cluster.down();
        return;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
    let tasks: Vec<PathBuf> = tasks.map(|task| task.path()).collect();
    assert!(tasks.len() > 10 && tasks.iter().all(|task| is_io_flusher(task)), "{tasks:?}");
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("its score");
    assert_eq!(score.trim(), "-999");
    cluster.down();
}

/// A memory cgroup of version 1 or 2, and its limit.
struct Cgroup(PathBuf);

impl Cgroup {
    /// None: this host has none to give.
    fn new(limit: u64) -> Option<Cgroup> {
        let name = format!("umc-test-{}", std::process::id());
        for (controller, file) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let dir = Path::new(controller).join(&name);
            if fs::create_dir(&dir).is_err() {
                continue;
            }
            let cgroup = Cgroup(dir);
            if fs::write(cgroup.0.join(file), limit.to_string()).is_ok() {
                return Some(cgroup);
            }
        }
        None
    }

    fn join(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("the process joins");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Fails while a process that joined is there; those are gone with the cluster.
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_dirty_file_system_is_written() {
    if !may_prepare() {
        eprintln!("no CAP_SYS_RESOURCE: nothing was tested");
        return;
    }
    let Some(cgroup) = Cgroup::new(48 << 20) else {
        eprintln!("no memory cgroup can be made here: nothing was tested");
        return;
    };
    let layout = Layout { disk_mib: 400, handler: "file", ..Layout::default() };
    let cluster = Cluster::in_sync("pressure", layout);
    let node = cluster.a();
    let dir = cluster.dir.join("mnt");
    fs::create_dir(&dir).expect("a mount point");
    let dir = dir.to_str().expect("a name");
    let done = |command: &[&str]| {
        let output = cluster.on(node, command);
        assert!(output.status.success(), "{command:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    done(&["mkfs.ext4", "-q", "/dev/drbd0"]);
    done(&["mount", "/dev/drbd0", dir]);
    for node in &cluster.nodes {
        cgroup.join(cluster.pid(node).expect("a node"));
    }
    // Data, and inodes whose eviction waits for the journal.
    let script = "echo $$ > $0/cgroup.procs
        for round in 1 2 3; do
            for i in $(seq 500); do echo $i > $1/$i; done
            seq -f '%040.0f' 1500000 > $1/data.$round
            rm $1/[1-9]*
        done
        sync -f $1
        md5sum < $1/data.1; md5sum < $1/data.2; seq -f '%040.0f' 1500000 | md5sum";
    let cgroup_dir = cgroup.0.to_str().expect("a name");
    let sums = done(&["timeout", "-s", "KILL", "50", "sh", "-ec", script, cgroup_dir, dir]);
    let sums: Vec<&str> = sums.lines().collect();
    assert!(sums.len() == 3 && sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    done(&["umount", dir]);
    cluster.down();
}
