// SPDX-License-Identifier: GPL-2.0-only
//! What the steps work with: the tools, and what one waits for.

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Mutex;

use cluster::{Cluster, Watch, text};

/// The tool of 8.4 itself; `drbdsetup` hands over to it.
pub const DRBDSETUP: &str = "/lib/drbd/drbdsetup-84";

/// A row of a theme's table.
pub struct Step {
    /// `TOOL VERB`, each of which the step runs.
    pub verbs: &'static [&'static str],
    pub run: fn(&Bench),
}

pub struct Bench {
    pub cluster: Cluster,
    ran: Mutex<BTreeSet<String>>,
}

impl Bench {
    pub fn new(cluster: Cluster) -> Bench {
        Bench { cluster, ran: Mutex::default() }
    }

    pub fn a(&self) -> &str {
        self.cluster.a()
    }

    pub fn b(&self) -> &str {
        self.cluster.b()
    }

    pub fn assert_ran(&self, verbs: &[&str]) {
        let ran = self.ran.lock().expect("no step panicked");
        verbs.iter().for_each(|verb| assert!(ran.contains(*verb), "the step did not run {verb}"));
    }

    fn note(&self, tool: &str, args: &[&str]) {
        self.ran.lock().expect("no step panicked").insert(format!("{tool} {}", args[0]));
    }

    /// `drbdadm VERB …`, whatever becomes of it.
    pub fn try_adm(&self, node: &str, args: &[&str]) -> Output {
        self.note("drbdadm", args);
        self.cluster.try_adm(node, args)
    }

    /// `drbdadm VERB …`, which has to succeed: what it prints.
    pub fn adm(&self, node: &str, args: &[&str]) -> String {
        let output = self.try_adm(node, args);
        assert!(output.status.success(), "{node}: drbdadm {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `drbdsetup VERB …`, whatever becomes of it.
    pub fn try_setup(&self, node: &str, args: &[&str]) -> Output {
        self.note("drbdsetup", args);
        let mut command = vec![DRBDSETUP];
        command.extend(args);
        self.cluster.on(node, &command)
    }

    /// `drbdsetup VERB …`, which has to succeed: what it prints.
    pub fn setup(&self, node: &str, args: &[&str]) -> String {
        let output = self.try_setup(node, args);
        assert!(output.status.success(), "{node}: drbdsetup {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `drbdsetup VERB …`, and what it prints as it prints it.
    pub fn follow(&self, node: &str, args: &[&str]) -> Watch {
        self.note("drbdsetup", args);
        let mut command = vec!["stdbuf", "-oL", DRBDSETUP];
        command.extend(args);
        Watch::start(self.cluster.command_on(node, &command))
    }

    /// The line of volume 0 in `/proc/drbd`, and its counters.
    pub fn line(&self, node: &str) -> String {
        let all = self.cluster.proc_drbd(node);
        let lines: Vec<&str> =
            all.lines().skip_while(|line| !line.starts_with(" 0: ")).take(2).collect();
        lines.join(" ")
    }

    /// Waits until `/proc/drbd` shows all of the words for volume 0.
    pub fn awaits(&self, node: &str, words: &[&str]) {
        let shown = |_: &str| {
            let line = self.line(node);
            let found: Vec<&str> = line.split_whitespace().collect();
            words.iter().all(|word| found.contains(word))
        };
        self.cluster.await_events(node, shown, &words.join(" "));
    }

    /// Connected, UpToDate on both sides, and nothing to do, as both nodes see it.
    pub fn settled(&self) {
        for node in &self.cluster.nodes {
            self.awaits(node, &["cs:Connected", "ds:UpToDate/UpToDate", "oos:0"]);
        }
    }

    /// Everything that happens on a node from now on.
    pub fn watch(&self, node: &str) -> Watch {
        self.cluster.watch(node, &["--statistics", "r0"])
    }

    /// Rewrites the configuration.
    pub fn configure(&self, from: &str, to: &str) {
        let path = self.cluster.conf();
        let before = std::fs::read_to_string(&path).expect("the configuration");
        assert!(before.contains(from), "no \"{from}\" in the configuration:\n{before}");
        std::fs::write(&path, before.replace(from, to)).expect("the configuration");
    }

    /// The addresses of a node and of its peer, as `drbdsetup` wants them.
    pub fn addresses(&self, node: &str) -> [String; 2] {
        let conf = std::fs::read_to_string(self.cluster.conf()).expect("the configuration");
        let mut found: Vec<String> = conf
            .lines()
            .filter_map(|line| line.trim().strip_prefix("address "))
            .map(|address| format!("ipv4:{}", address.trim_end_matches(';')))
            .collect();
        if node == self.b() {
            found.reverse();
        }
        found.try_into().expect("two addresses")
    }
}

/// The text holds the part, or the test ends with both.
#[track_caller]
pub fn has(text: &str, part: &str) {
    assert!(text.contains(part), "no \"{part}\" in:\n{text}");
}
