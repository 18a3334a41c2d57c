// SPDX-License-Identifier: GPL-2.0-only
//! The faces of `dmesg --follow` and of `journalctl` on a node, whose journal is its kernel log: no service runs there.
//!
//! Without `--follow` dmesg is the host's program, which reads `/dev/kmsg`. That file ends where the log ends.

use anyhow::{Context, Result, bail};

use crate::ls::{self, LogLook, Stamp};

/// Acts as `dmesg` or `journalctl`; None when it is called otherwise.
pub fn applet(name: &str, arguments: &[String]) -> Option<Result<()>> {
    match name {
        "dmesg" => Some(dmesg(arguments).and_then(|look| ls::log(None, &look))),
        "journalctl" => Some(journalctl(arguments)),
        _ => None,
    }
}

fn dmesg(arguments: &[String]) -> Result<LogLook> {
    let mut look = LogLook { follow: true, ..LogLook::default() };
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        match key {
            "-w" | "--follow" => {}
            "-W" | "--follow-new" => look.last = Some(0),
            "-t" | "--notime" => look.stamp = Stamp::Nothing,
            "--time-format" => {
                look.stamp = match value.or_else(|| words.next()) {
                    Some("iso") => Stamp::Iso,
                    Some("notime") => Stamp::Nothing,
                    Some("raw") => Stamp::Uptime,
                    other => bail!(
                        "dmesg: --time-format={} is not supported with --follow on a node: iso, raw and notime are",
                        other.unwrap_or_default()
                    ),
                }
            }
            "-k" | "--kernel" | "-P" | "--nopager" | "-L" | "--color" | "--noescape" => {}
            other => bail!(
                "dmesg: {other} is not supported with --follow on a node (this is umc's dmesg)."
            ),
        }
    }
    Ok(look)
}

fn journalctl(arguments: &[String]) -> Result<()> {
    let asked = Asked::of(arguments)?;
    if !asked.of_unit {
        return ls::log(None, &asked.look);
    }
    if !asked.quiet {
        println!("-- No entries --");
    }
    Ok(())
}

/// What a command line of `journalctl` asks for.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    look: LogLook,
    quiet: bool,
    /// Of a service.
    of_unit: bool,
}

impl Asked {
    fn of(arguments: &[String]) -> Result<Asked> {
        let mut asked = Asked::default();
        let mut words = arguments.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) if key.starts_with("--") => (key, Some(value)),
                _ => (word, None),
            };
            let mut value = || value.or_else(|| words.next());
            match key {
                "-k" | "--dmesg" | "--no-pager" | "-a" | "--all" | "-x" | "--catalog" | "-l"
                | "--full" | "--no-hostname" | "-e" | "--pager-end" => {}
                "-q" | "--quiet" => asked.quiet = true,
                "-f" | "--follow" => asked.look.follow = true,
                // How a line looks stays as it is.
                "-o" | "--output" => drop(value()),
                "-u" | "--unit" | "--user-unit" | "-t" | "--identifier" => {
                    asked.of_unit = true;
                    value();
                }
                // There is one boot only, the node's.
                "-b" | "--boot" => {
                    if words.peek().is_some_and(|next| next.parse::<i64>().is_ok()) {
                        words.next();
                    }
                }
                "-n" | "--lines" => {
                    let count = value().context("journalctl: how many lines?")?;
                    asked.look.last = match count {
                        "all" => None,
                        count => {
                            Some(count.trim_start_matches('+').parse().with_context(|| {
                                format!("journalctl: {count} is no number of lines")
                            })?)
                        }
                    };
                }
                other => bail!(
                    "journalctl: {other} is not supported here: a node has its kernel log (this is umc's journalctl)."
                ),
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused() {
        let of = |line: &str| Asked::of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let unit = of("-u tlshd -b 0 -q").unwrap();
        assert!(unit.of_unit && unit.quiet && !unit.look.follow);
        let kernel = of("-k --no-pager -o short-iso -n 20 -f").unwrap().look;
        assert_eq!(kernel, LogLook { follow: true, last: Some(20), ..LogLook::default() });
        assert_eq!(of("--lines=all --unit=drbd").unwrap().look.last, None);
        let dmesg = |line: &str| dmesg(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let new = dmesg("--follow-new --time-format=iso").unwrap();
        assert_eq!(new, LogLook { follow: true, last: Some(0), stamp: Stamp::Iso });
        assert!(dmesg("-w -l err").unwrap_err().to_string().contains("-l"));
        assert!(of("--since yesterday").unwrap_err().to_string().contains("--since"));
    }
}
