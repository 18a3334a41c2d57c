// SPDX-License-Identifier: GPL-2.0-only
//! `umc ls` and `umc dmesg`.

use std::io::{self, Write};

use anyhow::{Context, Result};
use nix::errno::Errno;
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
    let client = Client::connect(&nodes::pick(node)?)?;
    client.start(&Request::Dmesg { follow })?;
    let mut out = io::stdout().lock();
    loop {
        let log = client.reply::<Log>()?;
        for record in &log.records {
            writeln!(out, "{}", line(record)).context("Cannot write the log")?;
        }
        out.flush().context("Cannot write the log")?;
        if !log.more {
            return Ok(());
        }
    }
}

/// As dmesg(1) writes it: continued lines are indented to the first.
fn line(record: &LogRecord) -> String {
    let (seconds, micros) = (record.time_ns / 1_000_000_000, record.time_ns / 1_000 % 1_000_000);
    let head = format!("[{seconds:>5}.{micros:06}] ");
    let indent = format!("\n{:width$}", "", width = head.len());
    format!("{head}{}", record.text.trim_end_matches('\n').replace('\n', &indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_look_like_those_of_dmesg() {
        let record =
            LogRecord { time_ns: 1_234_567_890, text: "a\nb\n".into(), ..Default::default() };
        assert_eq!(line(&record), "[    1.234567] a\n               b");
    }
}
