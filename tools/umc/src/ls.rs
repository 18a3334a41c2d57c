// SPDX-License-Identifier: GPL-2.0-only
//! `umc ls` and `umc dmesg`.

use std::io::{self, Write};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::time::TimeValLike;
use nix::time::ClockId;
use umc_protocol::control::{Log, LogRecord, Request, Status};
use umc_protocol::node::NodeRecord;

use crate::client::Client;
use crate::nodes;

/// A node that does not answer for so long is listed as hanging.
const PATIENCE_S: i64 = 3;

/// `umc ls`.
pub fn ls() -> Result<()> {
    let nodes::Found { nodes: records, strange } = nodes::all()?;
    let root_width = records.iter().map(|r| r.root.display().to_string().len()).max();
    let root_width = root_width.unwrap_or(0).max(4);
    println!("{:<16} {:>8} {:<root_width$} {:<24} DISKS", "NAME", "PID", "ROOT", "MODULES");
    for record in records {
        let (pid, modules, disks) = describe(&record);
        let root = record.root.display().to_string();
        println!("{:<16} {pid:>8} {root:<root_width$} {modules:<24} {disks}", record.name);
    }
    strange.iter().for_each(|text| eprintln!("umc: {text}"));
    let clusters = crate::cluster::all().unwrap_or_default();
    if !clusters.is_empty() {
        let names: Vec<_> = clusters.iter().map(|place| place.name.as_str()).collect();
        println!("\nClusters: {} (umc cluster ls)", names.join(", "));
    }
    Ok(())
}

fn describe(record: &NodeRecord) -> (String, String, String) {
    let pid = record.pid.to_string();
    if !record.is_alive() {
        let advice = format!("(umc stop {} cleans up)", record.name);
        return ("dead".into(), advice, "-".into());
    }
    let status = Client::connect(record)
        .and_then(|client| client.with_patience(PATIENCE_S))
        .and_then(|client| client.request::<Status>(&Request::Status {}));
    match status {
        Ok(status) => {
            let modules: Vec<_> = status.modules.into_iter().map(|module| module.name).collect();
            let disks: Vec<_> = status.disks.into_iter().map(|disk| disk.name).collect();
            (pid, list(&modules), list(&disks))
        }
        // It may just be ending.
        Err(_) if !record.is_alive() => ("dead".into(), "-".into(), "-".into()),
        Err(error) if error.root_cause().downcast_ref() == Some(&Errno::EACCES) => {
            (pid, "(another user's)".into(), "-".into())
        }
        Err(_) => (pid, "(does not answer)".into(), "-".into()),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "-".into() } else { names.join(",") }
}

/// `umc dmesg`.
pub fn dmesg(node: Option<&str>, follow: bool) -> Result<()> {
    log(node, &LogLook { follow, ..LogLook::default() })
}

/// How a kernel log is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogLook {
    /// Go on with new records.
    pub follow: bool,
    /// Only so many of the records that are there.
    pub last: Option<usize>,
    /// What stands before a record.
    pub stamp: Stamp,
}

/// What stands before a record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Stamp {
    /// Seconds since the machine booted.
    #[default]
    Uptime,
    /// Date and time, in UTC.
    Iso,
    /// Nothing.
    Nothing,
}

/// The kernel log of a node.
///
/// # Errors
/// There is no such node, or it ends.
pub fn log(node: Option<&str>, look: &LogLook) -> Result<()> {
    let client = Client::connect(&nodes::pick(node)?)?;
    let mut out = io::stdout().lock();
    let mut print = |records: &[LogRecord]| {
        let line = |record: &LogRecord| line(record, look.stamp);
        let written = records.iter().try_for_each(|record| writeln!(out, "{}", line(record)));
        written.and_then(|()| out.flush()).context("Cannot write the log")
    };
    let mut from = 0;
    if let Some(last) = look.last {
        client.start(&Request::Dmesg { follow: false })?;
        let mut all = Vec::new();
        loop {
            let log = client.reply::<Log>()?;
            all.extend(log.records);
            if !log.more {
                break;
            }
        }
        print(&all[all.len().saturating_sub(last)..])?;
        from = all.last().map_or(0, |record| record.seq + 1);
        if !look.follow {
            return Ok(());
        }
    }
    client.start(&Request::Dmesg { follow: look.follow })?;
    loop {
        let mut log = client.reply::<Log>()?;
        log.records.retain(|record| record.seq >= from);
        print(&log.records)?;
        if !log.more {
            return Ok(());
        }
    }
}

/// As dmesg(1) writes it: continued lines are indented to the first.
fn line(record: &LogRecord, stamp: Stamp) -> String {
    let (seconds, micros) = (record.time_ns / 1_000_000_000, record.time_ns / 1_000 % 1_000_000);
    let head = match stamp {
        Stamp::Uptime => format!("[{seconds:>5}.{micros:06}] "),
        Stamp::Iso => format!("{} ", iso(boot_us() + record.time_ns.cast_signed() / 1000)),
        Stamp::Nothing => String::new(),
    };
    let indent = format!("\n{:width$}", "", width = head.len());
    format!("{head}{}", record.text.trim_end_matches('\n').replace('\n', &indent))
}

/// When the clock of records was zero, in microseconds since 1970.
fn boot_us() -> i64 {
    let us = |clock: ClockId| clock.now().map_or(0, |now| now.num_microseconds());
    us(ClockId::CLOCK_REALTIME) - us(ClockId::CLOCK_MONOTONIC)
}

/// Microseconds since 1970 as dmesg(1) writes them with `--time-format=iso`, in UTC.
fn iso(us: i64) -> String {
    let (seconds, micros) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    // SAFETY: all zeroes are a `tm`.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to variables of this function.
    unsafe { libc::gmtime_r(&seconds, &mut tm) };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02},{micros:06}+00:00",
        tm.tm_year + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_look_like_those_of_dmesg() {
        let record =
            LogRecord { time_ns: 1_234_567_890, text: "a\nb\n".into(), ..Default::default() };
        assert_eq!(line(&record, Stamp::Uptime), "[    1.234567] a\n               b");
        assert_eq!(line(&record, Stamp::Nothing), "a\nb");
        assert_eq!(iso(951_782_400_000_042), "2000-02-29T00:00:00,000042+00:00");
    }
}
