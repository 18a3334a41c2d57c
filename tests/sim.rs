//! The simulator: DRBD's cluster in virtual time, the same for each run of a seed, and planted faults found.

use std::path::PathBuf;
use std::process::{Command, Output};

use cluster::{Start, bin_dir, text};

fn scenario(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tools/sim/scenarios").join(name)
}

fn sim(file: &str, args: &[&str]) -> Output {
    let program = bin_dir().join("umc");
    Command::new(program).arg("sim").arg(scenario(file)).args(args).run().expect("umc sim")
}

/// What stands between `before` and `after` in a successful or failed run's output.
fn between<'a>(shown: &'a str, before: &str, after: &str) -> &'a str {
    let rest = shown.split_once(before).unwrap_or_else(|| panic!("no \"{before}\" in: {shown}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no \"{after}\" in: {shown}")).0
}

fn hash(output: &Output) -> String {
    between(&text(output), "hash ", ",").to_owned()
}

#[test]
fn a_lost_link_is_resynced_and_a_seed_repeats() {
    let first = sim("resync.toml", &["--seed", "7"]);
    let shown = text(&first);
    assert!(first.status.success(), "{shown}");
    for wanted in ["1000 writes, 0 errors", "SyncTarget -> Connected", "replicas are equal"] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
    assert!(shown.matches("SyncTarget -> Connected").count() >= 2, "no resync: {shown}");
    // Side by side, so that the host schedules each run differently.
    let hashes: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..4).map(|_| scope.spawn(|| hash(&sim("resync.toml", &["--seed", "7"])))).collect();
        runs.into_iter().map(|run| run.join().expect("a run")).collect()
    });
    assert_eq!(hashes, vec![hash(&first); 4]);
    assert_ne!(hash(&sim("resync.toml", &["--seed", "8"])), hash(&first));
}

#[test]
fn a_sweep_with_faults_passes() {
    let output = sim("faults.toml", &["--seeds", "0..20", "-j", "2"]);
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("20 seeds, 0 failed") && shown.contains("seeds/s"), "{shown}");
}

/// A sweep finds the fault, and the command that it prints shows it again.
fn is_found_and_replayed(file: &str, says: &str) {
    let output = sim(file, &["--seeds", "0..40"]);
    let shown = text(&output);
    assert!(!output.status.success() && shown.contains(says), "not found: {shown}");
    let failure = between(&shown, "FAILED: ", "\n");
    let command = between(&shown, "again: umc ", "\n");
    let args: Vec<&str> = command.split(' ').collect();
    let again = Command::new(bin_dir().join("umc")).args(args).run().expect("umc sim");
    assert!(!again.status.success(), "{command} succeeded");
    assert!(text(&again).contains(failure), "{command}: {}", text(&again));
}

#[test]
fn a_disk_that_lies_about_flushes_is_found() {
    is_found_and_replayed("planted-flush.toml", "UpToDate and differ");
}

#[test]
fn lost_wakeups_are_found() {
    is_found_and_replayed("planted-wakeup.toml", "FAILED");
}

/// What docs/simulator-findings.md tells. If this fails because a later driver is better, the page is to be changed.
#[test]
fn a_resync_target_that_loses_power_is_found() {
    is_found_and_replayed("resync-crash.toml", "UpToDate and differ");
}

#[test]
fn mistakes_in_a_scenario_are_named() {
    let output = sim("no-such.toml", &[]);
    assert!(!output.status.success());
    assert!(text(&output).contains("no-such.toml"), "{}", text(&output));
}
