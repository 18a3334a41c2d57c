// SPDX-License-Identifier: GPL-2.0-only
//! Every verb of `drbdadm` and of `drbdsetup` for 8.4, by its effect.
//!
//! A theme is a cluster of two nodes and a table of steps that run on it in order. A step names the verbs it is about,
//! runs them through [`Bench`], and looks for their effect where an administrator looks: `drbdsetup status` and
//! `events2`, `/proc/drbd`, `/sys`, the disks. The themes together name every verb that the tools list in their own help
//! ([`nothing_is_left_out`]), and a step that does not run what it names fails.

#![allow(clippy::disallowed_methods)] // a test program, not part of a node

mod bench;
mod build;
mod data;
mod disks;
mod options;
mod split;
mod texts;

use std::collections::BTreeSet;

use bench::{Bench, Step};
use cluster::{Cluster, Layout};

/// The tables, by theme.
const THEMES: &[&[Step]] =
    &[build::STEPS, data::STEPS, disks::STEPS, options::STEPS, split::STEPS, texts::STEPS];

/// Verbs of other drivers and helpers that a kernel of 8.4 has no answer to, with the reason.
const NOT_OURS: &[(&str, &str)] = &[
    ("drbdadm proxy-up", "drbd-proxy is a product of its own; texts.rs checks the refusal"),
    ("drbdadm proxy-down", "as proxy-up"),
];

/// Runs the steps of a theme.
fn theme(cluster: Cluster, steps: &[Step]) {
    let bench = Bench::new(cluster);
    for step in steps {
        let began = std::time::Instant::now();
        (step.run)(&bench);
        println!("{:?} for {}", began.elapsed(), step.verbs.join(", "));
        bench.assert_ran(step.verbs);
    }
}

#[test]
fn a_resource_by_hand() {
    theme(Cluster::new("v-build", Layout::default()), build::STEPS);
}

#[test]
fn data_and_resync() {
    let net = "verify-alg crc32c;".to_owned();
    theme(Cluster::in_sync("v-data", Layout { net, ..Layout::default() }), data::STEPS);
}

#[test]
fn disks_and_metadata() {
    theme(Cluster::in_sync("v-disks", Layout::default()), disks::STEPS);
}

#[test]
fn options_at_run_time() {
    theme(Cluster::in_sync("v-options", Layout::default()), options::STEPS);
}

#[test]
fn two_primaries_and_split_brain() {
    theme(Cluster::in_sync("v-split", Layout::default()), split::STEPS);
}

#[test]
fn texts_for_people_and_scripts() {
    theme(Cluster::in_sync("v-texts", Layout::default()), texts::STEPS);
}

/// The verbs below a heading of a help text.
fn listed(tool: &str, help: &str, heading: &str) -> Vec<String> {
    let body = help.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    let body = body.skip_while(|line| line.is_empty()).take_while(|line| line.starts_with(' '));
    let verbs: Vec<String> =
        body.flat_map(str::split_whitespace).map(|verb| format!("{tool} {verb}")).collect();
    assert!(verbs.len() > 5, "no verbs below \"{heading}\" in:\n{help}");
    verbs
}

#[test]
fn nothing_is_left_out() {
    let cluster = Cluster::new("v-help", Layout::default());
    let bench = Bench::new(cluster);
    let node = bench.a();
    let both = |words: &[&str]| cluster::text(&bench.cluster.on(node, words));
    let adm = both(&["drbdadm", "help"]);
    let hidden = both(&["drbdadm", "hidden-commands"]);
    let setup = both(&[bench::DRBDSETUP, "help"]);
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    wanted.extend(listed("drbdadm", &adm, "COMMANDS:"));
    for heading in ["nifty shell scripts", "invoke user mode helper", "These commands ought"] {
        wanted.extend(listed("drbdadm", &hidden, heading));
    }
    wanted.extend(listed("drbdsetup", &setup, "Commands are:"));
    let tested =
        THEMES.iter().flat_map(|steps| steps.iter()).flat_map(|step| step.verbs.iter().copied());
    let tested: BTreeSet<&str> = tested.chain(NOT_OURS.iter().map(|(verb, _)| *verb)).collect();
    let missing: Vec<&String> =
        wanted.iter().filter(|verb| !tested.contains(verb.as_str())).collect();
    assert!(missing.is_empty(), "verbs without a test: {missing:?}");
}
