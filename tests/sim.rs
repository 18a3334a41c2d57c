// SPDX-License-Identifier: GPL-2.0-only
//! The simulator: DRBD's cluster in virtual time, the same for each run of a seed, and planted faults found.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use cluster::{Over, Start, Watch, bin_dir, eventually, mesh, text};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

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

/// Runs `f` while every processor of the host is busy with something else too.
fn on_a_loaded_machine<R>(f: impl FnOnce() -> R) -> R {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        let busy = || {
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (0..processors).for_each(|_| drop(scope.spawn(busy)));
        f()
    })
}

#[test]
fn a_lost_link_is_resynced_and_a_seed_repeats() {
    let first = sim("resync.toml", &["--seed", "7"]);
    let shown = text(&first);
    assert!(first.status.success(), "{shown}");
    for wanted in ["1000 writes", "0 errors", "SyncTarget -> Connected", "replicas are equal"] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
    assert!(shown.matches("SyncTarget -> Connected").count() >= 2, "no resync: {shown}");
    // Three times three side by side, so that the host schedules each run differently.
    let again = || {
        let some = || (0..3).map(|_| hash(&sim("resync.toml", &["--seed", "7"]))).collect();
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3).map(|_| scope.spawn(some)).collect();
            runs.into_iter().map(|run| run.join().expect("three runs")).collect::<Vec<Vec<_>>>()
        })
    };
    assert_eq!(on_a_loaded_machine(again).concat(), vec![hash(&first); 9]);
    assert_ne!(hash(&sim("resync.toml", &["--seed", "8"])), hash(&first));
}

#[test]
fn a_sweep_with_faults_passes() {
    let output = sim("faults.toml", &["--seeds", "0..20", "-j", "2"]);
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("20 seeds, 0 failed") && shown.contains("seeds/s"), "{shown}");
}

/// Other drivers of the kernel's lie under DRBD, and do what they are there for.
#[test]
fn stacks_of_drivers_pass() {
    let failed = "Disk failure on m0, disabling device";
    for (file, seen) in [
        ("on-delay.toml", &["replicas are equal"][..]),
        ("on-flakey.toml", &["IO error sector", "on dm-0", "replicas are equal"]),
        ("on-raid1.toml", &[failed, "recover done", "resync done", "replicas are equal"]),
    ] {
        let output = sim(file, &["--seeds", "0..6", "-j", "2"]);
        assert!(output.status.success(), "{file}: {}", text(&output));
        let first = sim(file, &["--seed", "2", "-v"]);
        for seen in seen {
            assert!(text(&first).contains(seen), "{file}: no \"{seen}\": {}", text(&first));
        }
        assert_eq!(hash(&sim(file, &["--seed", "2", "-v"])), hash(&first), "{file}");
    }
}

/// What the administrator of either major does, as the trace says it.
const ADMINISTERED: &[&str] = &[
    "b: disconnect for 1500 ms: done",
    "b: connect: done",
    "b: detach of volume 1 for 1500 ms: done",
    "b: attach of volume 1: done",
    "a: secondary: done",
    "b: primary: done",
    "b: down for 1500 ms: done",
    "b: up: done",
    "b: invalidate of volume 0: done",
    "a: pause-sync for 2000 ms: done",
    "a: resume-sync: done",
    "a: verify: done",
    "a: resize of volume 1: done",
    "a loses power",
];

#[test]
fn the_administrator_finds_each_command() {
    let output = sim("administrator.toml", &["--seed", "1"]);
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    for wanted in ADMINISTERED.iter().copied().chain([
        "-> PausedSyncT )",
        "drbd1: Online verify done",
        "drbd1: role( Secondary -> Primary )",
        "the replicas are equal, and nothing is lost",
    ]) {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
    // One switch-over to the second node and one fail-over.
    assert_eq!(shown.matches("b: primary: done").count(), 2, "{shown}");
    let output = sim("administrator-random.toml", &["--seeds", "0..20", "-j", "2"]);
    assert!(output.status.success(), "{}", text(&output));
}

/// Otherwise both nodes would have data that the other one has not, and rightly refuse each other for ever.
#[test]
fn a_primary_that_lost_its_disk_waits_for_the_peer() {
    let output = sim("administrator-disk-error.toml", &["--seed", "1"]);
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    for wanted in [
        "b: down for 3000 ms: done",
        "a: primary: not done: the data of the other node may be newer",
        "a becomes Primary",
        "the replicas are equal, and nothing is lost",
    ] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
}

/// A sweep finds the fault, and the command that it prints shows it again. One fault may fail in more ways than the one
/// that is asked for: a disk that lies loses DRBD's metadata in some runs.
fn is_found_and_replayed(file: &str, says: &str) {
    let output = sim(file, &["--seeds", "0..10", "-j", "2", "--keep-going"]);
    let shown = text(&output);
    assert!(!output.status.success(), "not found: {shown}");
    let failures = || shown.split(" FAILED: ").skip(1);
    let found = failures().find(|text| text.lines().next().is_some_and(|it| it.contains(says)));
    let found = found.unwrap_or_else(|| panic!("not found: {shown}"));
    let failure = found.lines().next().expect("what failed");
    let command = between(found, "again: ", "\n");
    let path = format!("{}:{}", bin_dir().display(), std::env::var("PATH").expect("a PATH"));
    let again = Command::new("sh").args(["-c", command]).env("PATH", path).run().expect("sh");
    assert_eq!(again.status.code(), Some(1), "{command}: {}", text(&again));
    assert!(text(&again).contains(failure), "{command}: {}", text(&again));
}

#[test]
fn a_disk_that_lies_about_flushes_is_found() {
    is_found_and_replayed("planted-flush.toml", "UpToDate and differ");
}

#[test]
fn lost_wakeups_are_found() {
    is_found_and_replayed("planted-wakeup.toml", "");
}

// What docs/simulator-findings.md tells. If one of these fails because a later driver is better, the page is to be
// changed.

#[test]
fn a_resync_target_that_loses_power_is_found() {
    is_found_and_replayed("resync-crash.toml", "UpToDate and differ");
}

#[test]
fn an_online_verify_finds_what_a_resync_lost() {
    let is_found = |seed: u32| {
        let output = sim("resync-crash-verify.toml", &["--seed", &seed.to_string()]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output).contains("4k block out of sync")
    };
    // Each run has to end with equal replicas, and some began with different ones.
    let found: Vec<bool> = (1..=6).map(is_found).collect();
    assert!(found.contains(&true), "{found:?}");
}

#[test]
fn an_early_answer_to_a_flush_is_found() {
    is_found_and_replayed("diskless-primary.toml", "data is lost");
}

#[test]
fn volumes_that_share_an_epoch_break_the_connection() {
    let is_broken = |seed: u32| {
        let shown = text(&sim("diskless-volume.toml", &["--seed", &seed.to_string()]));
        assert!(shown.contains("the replicas are equal"), "{shown}");
        shown.contains("BAD! BarrierAck") && shown.contains("Connected -> ProtocolError")
    };
    assert!((1..=5).any(is_broken), "no seed shows it");
}

#[test]
fn two_primaries_that_write_the_same_blocks_lose_each_other_or_hang() {
    let output = sim("two-primaries.toml", &["--seeds", "0..24", "-j", "2", "--keep-going"]);
    let shown = text(&output);
    for wanted in ["have lost each other", "virtual time of the run is used up"] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
    // The writes are what they have to be in the runs that get through.
    assert!(!shown.contains("24 failed"), "{shown}");
    for wrong in ["data is lost", "differ", "wrong data"] {
        assert!(!shown.contains(wrong), "\"{wrong}\" is in: {shown}");
    }
}

#[test]
fn a_thin_resync_counts_its_acknowledgements_too_late() {
    let is_seen = |seed: u32| {
        let shown = text(&sim("thin-resync.toml", &["--seed", &seed.to_string()]));
        assert!(shown.contains("the replicas are equal"), "{shown}");
        shown.contains("ASSERTION __dec_unacked(device) >= 0 FAILED in e_end_resync_block")
    };
    assert!((1..=5).any(is_seen), "no seed shows it");
}

/// The modules of each build of DRBD 9, as arguments; without one the calling test is left out.
#[track_caller]
fn drbd_9() -> Vec<[String; 2]> {
    let builds = mesh::builds();
    if builds.is_empty() {
        mesh::left_out();
    }
    let module = |dir: PathBuf| ["--module".into(), dir.join("drbd.so").display().to_string()];
    builds.into_iter().map(module).collect()
}

fn sim_9(file: &str, module: &[String; 2], args: &[&str]) -> Output {
    let module = module.iter().map(String::as_str);
    sim(file, &module.chain(args.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn three_nodes_of_drbd_9_copy_and_write_and_a_seed_repeats() {
    for module in drbd_9() {
        let run = || sim_9("drbd9-smoke.toml", &module, &["--seed", "1"]);
        let first = run();
        let shown = text(&first);
        assert!(first.status.success(), "{shown}");
        assert!(shown.matches("repl( SyncTarget -> Established )").count() >= 2, "{shown}");
        assert!(shown.contains("the replicas are equal, and nothing is lost"), "{shown}");
        assert_eq!(hash(&first), hash(&run()));
    }
}

#[test]
fn a_diskless_node_of_drbd_9_breaks_ties() {
    let Some(module) = drbd_9().into_iter().next() else { return };
    // A sweep goes on where docs/simulator-findings.md explains what is wrong.
    let output = sim_9("drbd9-diskless.toml", &module, &["--seeds", "0..16", "-j", "2"]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn a_diskless_node_misses_a_generation_and_a_sweep_knows_it() {
    let Some(module) = drbd_9().into_iter().next() else { return };
    let output = sim_9("drbd9-diskless-generation.toml", &module, &["--seeds", "1..3", "-j", "2"]);
    let shown = text(&output);
    assert!(output.status.success() && shown.contains("2 seeds, 0 failed"), "{shown}");
    assert!(shown.contains("known: DRBD 9: a diskless node that misses a generation"), "{shown}");
}

#[test]
fn secondaries_forget_what_they_differ_in_and_a_sweep_knows_it() {
    for module in drbd_9() {
        for (file, title) in [
            ("drbd9-secondaries-apart.toml", "known: DRBD 9: two Secondaries that were apart"),
            ("drbd9-secondaries-killed.toml", "known: DRBD 9: two Secondaries that lose power"),
        ] {
            let output = sim_9(file, &module, &["--seeds", "1..6", "-j", "2"]);
            let shown = text(&output);
            assert!(output.status.success() && shown.contains(title), "{shown}");
        }
    }
}

/// What 9.3 has of its own; 9.2 has to pass.
#[test]
fn a_diskless_primary_of_9_3_does_not_replicate_to_a_target() {
    for module in drbd_9() {
        let output = sim_9("drbd9-diskless-replication.toml", &module, &["--seed", "1", "-v"]);
        let shown = text(&output);
        match shown.contains(" replication( yes -> no )") {
            true => assert!(shown.contains("known: DRBD 9.3: a Primary stops"), "{shown}"),
            false => assert!(output.status.success(), "{shown}"),
        }
    }
}

#[test]
fn the_administrator_finds_each_command_of_drbd_9() {
    for module in drbd_9() {
        let output = sim_9("drbd9-administrator.toml", &module, &["--seed", "1"]);
        let shown = text(&output);
        assert!(output.status.success(), "{shown}");
        for wanted in ADMINISTERED
            .iter()
            .copied()
            .chain(["repl( Established -> VerifyS )", "drbd1 c: Online verify done"])
        {
            assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
        }
        assert!(!shown.contains("not done"), "{shown}");
    }
}

#[test]
fn drbd_9_fails_over_where_there_is_quorum() {
    let Some(module) = drbd_9().into_iter().next() else { return };
    let moved = |seed: u32| {
        let output = sim_9("drbd9-faults.toml", &module, &["--seed", &seed.to_string()]);
        text(&output).contains(" becomes Primary instead of ")
    };
    assert!((1..20).any(moved), "no seed shows it");
}

#[test]
fn writes_that_failed_without_quorum_leave_replicas_that_differ() {
    let Some(module) = drbd_9().into_iter().next() else { return };
    let differ = |seed: u32| {
        let output = sim_9("drbd9-lost-quorum.toml", &module, &["--seed", &seed.to_string()]);
        text(&output).contains("are UpToDate and differ")
    };
    assert!((1..8).any(differ), "no seed shows it");
}

/// What 9.3 has of its own; 9.2 has to pass.
#[test]
fn nodes_of_9_3_that_reconcile_alone_lose_what_was_answered() {
    for module in drbd_9() {
        let output = sim_9("drbd9-half-reconciled.toml", &module, &["--seed", "1", "-v"]);
        let shown = text(&output);
        match shown.contains("to reconcile equal-UUID peers") {
            true => assert!(shown.contains("are UpToDate and differ"), "{shown}"),
            false => assert!(output.status.success(), "{shown}"),
        }
    }
}

#[test]
fn a_target_that_loses_its_source_gets_no_writes() {
    let Some(module) = drbd_9().into_iter().next() else { return };
    let waits = |seed: u32| {
        let args = ["--seed", &seed.to_string(), "-v"];
        let shown = text(&sim_9("drbd9-target-loses-source.toml", &module, &args));
        shown.contains("unexpected repl_state (Established) in receive_bitmap")
            && shown.contains("the nodes do not recover")
    };
    assert!((1..8).any(waits), "no seed shows it");
}

#[test]
fn secondaries_that_come_back_take_each_other_for_a_split_brain() {
    for module in drbd_9() {
        let shown = text(&sim_9("drbd9-false-split-brain.toml", &module, &["--seed", "1"]));
        assert!(shown.contains("Split-Brain detected but unresolved"), "{shown}");
        assert!(shown.contains("the replicas are equal, and nothing is lost"), "{shown}");
    }
}

#[test]
fn what_drbd_9_alone_can_do_is_refused_with_8_4() {
    let output = sim("drbd9-smoke.toml", &["--module", "drbd"]);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("The scenario takes DRBD 9, and module drbd is version 8.4"), "{shown}");
}

#[test]
fn mistakes_in_a_scenario_are_named() {
    let output = sim("no-such.toml", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("no-such.toml"), "{}", text(&output));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("bad.toml");
    fs::write(&file, "duration_ms = 5\n[load]\nwriters = 0\n").expect("a file");
    let output = Command::new(bin_dir().join("umc")).arg("sim").arg(&file).run().expect("umc");
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    for wanted in ["bad.toml", "line 3", "must be from 1 to 64", "docs/simulator.md"] {
        assert!(shown.contains(wanted), "\"{wanted}\" is not in: {shown}");
    }
}

/// The children of a process that run the program which they were started for.
fn children(parent: i32) -> Vec<Pid> {
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may hold anything, and ends with the last parenthesis; state and parent follow.
        let parent_of = stat.rsplit_once(')').and_then(|rest| rest.1.split_whitespace().nth(1));
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_run = line.split(|byte| *byte == 0).any(|word| word == b"--in-process");
        is_run && parent_of == Some(&parent.to_string())
    };
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|dir| dir.file_name().to_str()?.parse().ok());
    pids.filter(is_child).map(Pid::from_raw).collect()
}

/// What is left of a group of processes ends with this, so that a test that fails leaves nothing either.
struct Group(i32);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0), Signal::SIGKILL);
    }
}

/// Interrupts a sweep in the middle. Its output is open until the last process that writes to it has ended.
fn leaves_nothing(dir: &Path, signal: Signal, to_all: bool) {
    let scratch = tempfile::tempdir_in(dir).expect("a directory");
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" sim \"$1\" --seeds 0..1000 -j 2 2>&1"]);
    command.arg(bin_dir().join("umc")).arg(scenario("resync.toml"));
    let mut sweep = Watch::start({
        command.env("TMPDIR", scratch.path()).process_group(0);
        command
    });
    let pid = sweep.pid().cast_signed();
    let _group = Group(pid);
    // Stopped in the middle, so that they do not end because nobody reads what they print.
    let is_stopped = |run: &Pid| kill(*run, Signal::SIGSTOP).is_ok();
    eventually("two runs", || children(pid).iter().filter(|run| is_stopped(run)).count() == 2);
    let target = Pid::from_raw(if to_all { -pid } else { pid });
    kill(target, signal).expect("the signal is sent");
    let (status, lines) = sweep.ends();
    assert_eq!(status.signal(), Some(signal as i32), "{lines:?}");
    let left: Vec<_> = fs::read_dir(scratch.path()).expect("a directory").flatten().collect();
    assert!(left.is_empty(), "{signal} leaves {left:?}");
}

#[test]
fn an_interrupted_sweep_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    // Ctrl-C reaches the whole group of processes.
    leaves_nothing(dir.path(), Signal::SIGINT, true);
    leaves_nothing(dir.path(), Signal::SIGTERM, false);
    leaves_nothing(dir.path(), Signal::SIGKILL, false);
}
