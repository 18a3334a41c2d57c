// SPDX-License-Identifier: GPL-2.0-only
//! Nodes on which the stock tools of a driver make volumes, over RAM disks `/dev/ram0` to `/dev/ram3`.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::process::Child;

use crate::{Cluster, Layout, Start, eventually, text};

/// A cluster whose first node has RAM disks of 32 MiB and a driver of volumes.
pub struct Volumes(pub Cluster);

impl Volumes {
    /// Sectors of a RAM disk.
    pub const DISK: u64 = 32 << 11;

    /// Loads the disks, and the module `driver`.
    pub fn new(name: &str, driver: &str) -> Volumes {
        let cluster = Cluster::new(name, Layout { disk_mib: 16, ..Layout::default() });
        let volumes = Volumes(cluster);
        volumes.load(driver);
        volumes
    }

    /// Loads both on the node, which was started anew.
    pub fn load(&self, driver: &str) {
        let (cluster, node) = (&self.0, self.0.a());
        cluster.umc_ok(&["insmod", "--node", node, "brd", "rd_nr=4", "rd_size=32768"]);
        cluster.umc_ok(&["insmod", "--node", node, driver]);
    }

    /// What a command says on the node, which must succeed.
    pub fn run(&self, words: &[&str]) -> String {
        let output = self.0.on(self.0.a(), words);
        assert!(output.status.success(), "{}: {}", words.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The same of a line without quotes.
    pub fn line(&self, line: &str) -> String {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// What a command says that must fail.
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.0.on(self.0.a(), words);
        assert!(!output.status.success(), "{}: {}", words.join(" "), text(&output));
        text(&output)
    }

    /// Starts a command that waits on the node, and returns when it does.
    pub fn waiting(&self, words: &[&str]) -> Child {
        let command = self.0.command_on(self.0.a(), words).start();
        let mut waits = command.expect("the command runs");
        let call = format!("/proc/{}/syscall", waits.id());
        let is_asleep = || fs::read_to_string(&call).is_ok_and(|call| !call.starts_with("running"));
        eventually("it waits", is_asleep);
        assert!(waits.try_wait().unwrap().is_none(), "{} has ended", words.join(" "));
        waits
    }

    /// A path below the node's root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.root(self.0.a()).join(name)
    }

    /// Opens a device of the node by its name below `/dev`.
    pub fn open(&self, name: &str) -> File {
        let path = self.path("dev").join(name);
        OpenOptions::new().read(true).write(true).open(path).expect("the device opens")
    }

    /// Stops the nodes, which take down what is up.
    pub fn stop(&self) {
        self.0.nodes.iter().for_each(|node| self.0.stop(node));
    }
}
