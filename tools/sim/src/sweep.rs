// SPDX-License-Identifier: GPL-2.0-only
//! Runs in processes of their own: one, or all seeds of a range.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mte::sim::Outcome;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::Args;
use crate::known::{self, Line, Story};

/// What a run's last line begins with.
pub const RESULT: &str = "result ";
/// The page with the findings.
const PAGE: &str = "docs/simulator-findings.md";

/// The end of a run, as its process tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    hash: String,
    virtual_ns: u64,
    real_ns: u64,
    switches: u64,
    wakeups_lost: u64,
    failure: Option<String>,
    /// The finding that explains the failure.
    known: Option<String>,
}

impl Report {
    /// `log` is that of the run.
    pub fn new(outcome: &Outcome, real: Duration, log: Vec<Line>) -> Report {
        let failure = outcome.failure.as_ref().map(ToString::to_string);
        let known = failure.clone().and_then(|failure| known::finding(&Story::new(log, failure)));
        Report {
            hash: format!("{:016x}", outcome.hash),
            virtual_ns: outcome.virtual_ns,
            real_ns: real.as_nanos() as u64,
            switches: outcome.switches,
            wakeups_lost: outcome.wakeups_lost,
            failure,
            known: known.map(str::to_owned),
        }
    }
}

/// Makes the child that `command` starts end with the calling thread, however that ends: nothing is left running when
/// the sweep is interrupted or killed.
fn end_with_us(command: &mut Command) {
    let us = std::process::id();
    let tie = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // We may have ended before the line above.
        if getppid().as_raw().cast_unsigned() == us { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: two system calls, which is all that may be done between fork and exec.
    unsafe { command.pre_exec(tie) };
}

/// Gives the child that `command` starts the same addresses each time. DRBD sorts requests for the same place by the addresses of
/// their structures (`drbd_insert_interval`), so with other addresses a seed may show another run. Where a process may not ask for
/// this, as in some containers, they stay random.
fn with_same_addresses(command: &mut Command) {
    let fix = || {
        // SAFETY: the call takes numbers only; one that is no persona asks for the present one.
        let present = unsafe { libc::personality(0xffff_ffff) };
        if present != -1 {
            let fixed = present.cast_unsigned() | libc::ADDR_NO_RANDOMIZE.cast_unsigned();
            // SAFETY: as above.
            unsafe { libc::personality(fixed.into()) };
        }
        Ok(())
    };
    // SAFETY: two system calls, which is all that may be done between fork and exec.
    unsafe { command.pre_exec(fix) };
}

/// Runs one seed in a process; each line of its output goes to `line`.
fn run_child(args: &Args, seed: u64, mut line: impl FnMut(&str)) -> Result<Report> {
    let me = std::env::current_exe().context("Cannot find out where umc-sim itself is")?;
    let mut command = Command::new(&me);
    command.arg("--in-process").arg("--seed").arg(seed.to_string());
    if let Some(module) = &args.module {
        command.arg("--module").arg(module);
    }
    command.arg(&args.file);
    command.args((0..args.verbose).map(|_| "-v"));
    end_with_us(&mut command);
    with_same_addresses(&mut command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("Cannot run {}", me.display()))?;
    let mut result = None;
    for text in BufReader::new(child.stdout.take().expect("piped above")).lines() {
        let text = text.context("Cannot read what the simulation prints")?;
        match text.strip_prefix(RESULT) {
            Some(report) => result = serde_json::from_str(report).ok(),
            None => line(&text),
        }
    }
    let status = child.wait().context("Cannot wait for the simulation")?;
    if status.code() == Some(2) {
        bail!("the run of seed {seed} could not start");
    }
    Ok(result.unwrap_or_else(|| Report {
        hash: "-".into(),
        virtual_ns: 0,
        real_ns: 0,
        switches: 0,
        wakeups_lost: 0,
        failure: Some(format!("the process ended with {status}")),
        known: None,
    }))
}

/// The command that plays a run again.
fn replay(args: &Args, seed: u64) -> String {
    let module = args.module.as_ref();
    let module = module.map_or(String::new(), |module| format!(" --module {}", quoted(module)));
    format!("umc sim {} --seed {seed}{module}", quoted(&args.file.to_string_lossy()))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// One run, with its output.
pub fn single(args: &Args) -> Result<bool> {
    let report = run_child(args, args.seed, |line| {
        let _ = writeln!(std::io::stdout(), "{line}");
    })?;
    let (virtual_s, real_s) = (report.virtual_ns as f64 / 1e9, report.real_ns as f64 / 1e9);
    println!(
        "seed {}, hash {}, {virtual_s:.3} s virtual in {real_s:.3} s: {:.1} to 1, {} switches",
        args.seed,
        report.hash,
        virtual_s / real_s.max(1e-9),
        report.switches
    );
    let Some(failure) = report.failure else { return Ok(true) };
    println!("FAILED: {failure}\nagain: {}", replay(args, args.seed));
    if let Some(known) = report.known {
        println!("known: {known} ({PAGE})");
    }
    Ok(false)
}

/// Virtual and real time of all runs, and what came of them.
#[derive(Default)]
struct Totals {
    runs: AtomicU64,
    failures: AtomicU64,
    /// Runs that failed for a known reason, by the finding.
    known: Mutex<BTreeMap<String, u64>>,
    virtual_ns: AtomicU64,
    real_ns: AtomicU64,
}

impl Totals {
    fn line(&self, start: Instant) -> String {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = start.elapsed().as_secs_f64().max(1e-9);
        format!(
            "{} seeds, {} failed, {} known, {:.1} seeds/s, {:.1} s virtual to 1 s real in each run, {:.1} over all",
            get(&self.runs),
            get(&self.failures),
            self.known.lock().values().sum::<u64>(),
            get(&self.runs) as f64 / seconds,
            get(&self.virtual_ns) as f64 / get(&self.real_ns).max(1) as f64,
            get(&self.virtual_ns) as f64 / 1e9 / seconds,
        )
    }
}

/// All seeds of a range, `args.jobs` at a time. True if all went well, but for those with a known reason.
pub fn sweep(args: &Args, seeds: Range<u64>) -> Result<bool> {
    let (totals, start) = (Totals::default(), Instant::now());
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let trouble = Mutex::new(None);
    let progress = Mutex::new(start);
    let worker = || {
        while !stop.load(Ordering::SeqCst) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                return;
            }
            match run_child(args, seed, |_| {}) {
                Ok(report) => {
                    totals.runs.fetch_add(1, Ordering::Relaxed);
                    totals.virtual_ns.fetch_add(report.virtual_ns, Ordering::Relaxed);
                    totals.real_ns.fetch_add(report.real_ns, Ordering::Relaxed);
                    match (report.failure, report.known) {
                        (None, _) => {}
                        (Some(_), Some(known)) => {
                            println!("seed {seed} known: {known}");
                            *totals.known.lock().entry(known).or_default() += 1;
                        }
                        (Some(failure), None) => {
                            totals.failures.fetch_add(1, Ordering::Relaxed);
                            println!(
                                "seed {seed} FAILED: {failure}\nagain: {}",
                                replay(args, seed)
                            );
                            stop.fetch_or(!args.keep_going, Ordering::SeqCst);
                        }
                    }
                }
                Err(error) => {
                    *trouble.lock() = Some(error);
                    stop.store(true, Ordering::SeqCst);
                }
            }
            let mut last = progress.lock();
            let pause = if std::io::stderr().is_terminal() { 1 } else { 10 };
            if last.elapsed() > Duration::from_secs(pause) {
                *last = Instant::now();
                eprintln!("{}", totals.line(start));
            }
        }
    };
    std::thread::scope(|scope| (0..args.jobs.max(1)).for_each(|_| drop(scope.spawn(worker))));
    for (known, count) in &*totals.known.lock() {
        println!("{count} known: {known} ({PAGE})");
    }
    println!("{}", totals.line(start));
    match trouble.into_inner() {
        Some(error) => Err(error),
        None => Ok(totals.failures.into_inner() == 0),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{quoted, with_same_addresses};

    #[test]
    fn a_child_has_the_same_addresses_each_time() {
        let mut command = Command::new("cat");
        command.arg("/proc/self/personality");
        with_same_addresses(&mut command);
        let output = command.output().expect("cat runs");
        let told = String::from_utf8(output.stdout).expect("a number");
        let persona = i32::from_str_radix(told.trim(), 16).expect("a number");
        assert_ne!(persona & libc::ADDR_NO_RANDOMIZE, 0, "{told}");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(quoted("tools/sim/a-b_1.toml"), "tools/sim/a-b_1.toml");
        assert_eq!(quoted("my file's"), r"'my file'\''s'");
    }
}
