// SPDX-License-Identifier: GPL-2.0-only
//! Networks of a test's own.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::{Start, eventually, text};

/// A network namespace without a name: it lives as long as its processes, and those die with this one.
pub struct Namespace(Child);

impl Namespace {
    pub fn new() -> Namespace {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--", "sleep", "infinity"]);
        let namespace = Namespace(command.stdout(Stdio::null()).start().unwrap());
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        eventually("a namespace of its own", || {
            fs::read_link(namespace.file()).is_ok_and(|its| its != own)
        });
        namespace
    }

    /// The process that keeps it.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What `umc start --netns` takes.
    pub fn file(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// `ip ARGS…` in it.
    pub fn ip(&self, args: &str) {
        let net = format!("--net={}", self.file());
        let output = Command::new("nsenter").args([&net, "ip"]).args(args.split(' ')).run();
        let output = output.unwrap();
        assert!(output.status.success(), "ip {args}: {}", text(&output));
    }
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
