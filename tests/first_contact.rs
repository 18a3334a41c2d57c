// SPDX-License-Identifier: GPL-2.0-only
//! The first words between `umc` and somebody: `umc` alone, `umc doctor`, and completion.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use cluster::{Cluster, Layout, Start, bin_dir, text};

fn umc(args: &[&str], run: &Path) -> Command {
    let mut command = Command::new(bin_dir().join("umc"));
    command.args(args).env("UMC_RUNTIME_DIR", run).env_remove("UMC_FS_ROOT");
    command.env_remove("UMC_CLUSTER");
    command
}

fn has(output: &Output, parts: &[&str]) {
    for part in parts {
        assert!(text(output).contains(part), "no {part}: {}", text(output));
    }
}

#[test]
fn who_knows_nothing_is_told_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = umc(&[], &dir.path().join("run")).run().unwrap();
    assert!(nothing.status.success());
    has(&nothing, &["umc cluster up", "umc start alpha", "umc doctor", "umc --help"]);
    let doctor = umc(&["doctor"], &dir.path().join("run")).run().unwrap();
    assert!(doctor.status.success(), "{}", text(&doctor));
    has(&doctor, &["/dev/fuse can be opened", "drbdadm", "drbd is built", "umc cluster up"]);
    assert!(!dir.path().join("run").exists(), "a look leaves nothing");
    // What is missing is named, with the package that has it; and all of it at once.
    let mut bare = umc(&["doctor"], Path::new("not-absolute"));
    let bare = bare.env("UMC_CACHE_DIR", dir.path()).env("PATH", dir.path()).run().unwrap();
    assert_eq!(bare.status.code(), Some(1), "{}", text(&bare));
    has(
        &bare,
        &["FAILS  directory", "UMC_RUNTIME_DIR", "no driver is built yet", "umc build drbd"],
    );
}

#[test]
fn what_was_left_is_found_and_names_are_completed() {
    let cluster = Cluster::new("contact", Layout { disk_mib: 8, ..Layout::default() });
    let run = cluster.dir.join("run");
    let (a, b) = (cluster.a(), cluster.b());
    let offered = |words: &[&str]| {
        let mut umc = umc(&["--", "umc"], &run);
        let at = words.len().to_string();
        umc.args(words).env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", at);
        text(&umc.env("_CLAP_IFS", " ").run().unwrap())
    };
    assert!(offered(&["stop", ""]).contains(&format!("{a} {b}")));
    assert!(offered(&["disk", "-n", a, "del", "l"]).contains("low0"));
    assert!(!offered(&["disk", "-n", a, "del", ""]).contains("drbd0"));
    cluster.adm(a, &["create-md", "--force", "r0"]);
    cluster.adm(a, &["up", "r0"]);
    assert!(offered(&["run", a, "--", "drbdadm", "down", "r"]).contains("r0"));
    cluster.kill(b);
    fs::write(run.join("stray"), "").unwrap();
    let doctor = umc(&["doctor"], &run).run().unwrap();
    assert!(doctor.status.success(), "{}", text(&doctor));
    let stop = format!("umc stop {b}");
    has(&doctor, &[&stop, "has died", "stray", "tree of a node that has died"]);
    has(&umc(&[], &run).run().unwrap(), &[&stop, &format!("Node {a} runs")]);
    fs::remove_file(run.join("stray")).unwrap();
    cluster.umc_ok(&["stop", b]);
    cluster.adm(a, &["down", "r0"]);
}
