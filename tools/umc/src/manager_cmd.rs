// SPDX-License-Identifier: GPL-2.0-only
//! `systemctl`, `udevadm` and their like on a node, as far as they do not end it ([`power_cmd`](crate::power_cmd)).
//!
//! They speak to services of a machine through sockets, and the sockets that they would find are the host's. A node has no
//! such service: what can be said truthfully is said, and all else is refused, so that no script of a node starts, stops or
//! asks for a thing of the host.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use umc_protocol::node::NodeRecord;
use umc_protocol::programs::MANAGERS;
use umc_protocol::systemctl;

use crate::nodes;

/// Tasks of a node: how each is, its number, two fields more, and its name.
const TASKS: &str = "sys/kernel/debug/umc/tasks";
/// The one that gives devices their further names.
const NAMES_DEVICES: &str = "udevd";
/// How long `udevadm settle` waits unless told otherwise.
const SETTLE_S: u64 = 120;
/// How soon it looks again.
const AGAIN: Duration = Duration::from_millis(10);

/// An exit status that says all.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered(pub u8);

impl std::fmt::Display for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit status {}", self.0)
    }
}

impl std::error::Error for Answered {}

/// Acts as the program called `name`; None when it is no manager's, or ends a machine.
pub fn applet(name: &str, arguments: &[String]) -> Option<Result<()>> {
    MANAGERS.contains(&name.as_bytes()).then(|| act(name, arguments))
}

fn act(name: &str, arguments: &[String]) -> Result<()> {
    // The only node that runs need not be the one that is meant.
    if env::var_os("UMC_FS_ROOT").is_none_or(|root| root.is_empty()) {
        bail!("{name}: UMC_FS_ROOT names no node. Run it by umc run NODE -- {name}");
    }
    let node = nodes::pick(None).with_context(|| format!("{name}: the host is not asked"))?;
    match name {
        "systemctl" => systemctl_says(&node.name, arguments),
        "udevadm" => match arguments.split_first() {
            Some((verb, options)) if verb == "settle" => settle(&node, &Settle::of(options)?),
            _ => bail!(
                "{} is not done: no udevd runs on node {}, so there is no database of devices and there are no rules, and the \
                 host's are not the node's. Look into /sys and /dev/disk; udevadm settle waits for names of devices",
                shown(name, arguments),
                node.name
            ),
        },
        _ => bail!(
            "{} is not done: it speaks to a service of a machine, of which node {} has none, and the host's is not asked. To \
             change the host, run it outside of the node",
            shown(name, arguments),
            node.name
        ),
    }
}

fn shown(name: &str, arguments: &[String]) -> String {
    [&[name.to_owned()], arguments].concat().join(" ")
}

/// What `systemctl` would say of a machine on which no unit was ever started.
fn systemctl_says(node: &str, arguments: &[String]) -> Result<()> {
    let mut words = systemctl::words(arguments.iter().map(|argument| argument.as_bytes()));
    let verb = words.next().unwrap_or_default();
    let says = match verb {
        b"is-active" => ("inactive", 3),
        b"is-failed" => ("inactive", 1),
        b"is-system-running" => ("offline", 1),
        _ => bail!(
            "{} is not done: no service manager runs on node {node}, and the host's is not asked. Start the service's program \
             itself; to manage the host, run systemctl outside of the node",
            shown("systemctl", arguments)
        ),
    };
    let is_quiet = arguments.iter().any(|argument| argument == "-q" || argument == "--quiet");
    // One line for each unit.
    let lines = if verb == b"is-system-running" { 1 } else { words.count() };
    for _ in 0..if is_quiet { 0 } else { lines } {
        println!("{}", says.0);
    }
    Err(Answered(says.1).into())
}

/// What `udevadm settle` is told.
#[derive(Debug, PartialEq, Eq)]
struct Settle {
    patience_s: u64,
    /// It need not wait any more when this is there.
    until: Option<String>,
}

impl Settle {
    fn of(options: &[String]) -> Result<Settle> {
        let mut settle = Settle { patience_s: SETTLE_S, until: None };
        let mut words = options.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (key, value) = match word.split_once('=') {
                Some((key, value)) if word.starts_with("--") => (key, Some(value)),
                // The value may follow its letter.
                _ if !word.starts_with("--") && word.is_char_boundary(2) => {
                    (&word[..2], Some(&word[2..]).filter(|value| !value.is_empty()))
                }
                _ => (word, None),
            };
            let value = value.or_else(|| words.next());
            match (key, value) {
                ("-t" | "--timeout", Some(value)) => {
                    settle.patience_s = value.parse().with_context(|| {
                        format!("udevadm: {value} is no number of seconds. Say --timeout=10")
                    })?;
                }
                ("-E" | "--exit-if-exists", Some(value)) => settle.until = Some(value.to_owned()),
                _ => bail!(
                    "udevadm: settle of a node knows --timeout=SECONDS and --exit-if-exists=FILE, not {word}"
                ),
            }
        }
        Ok(settle)
    }
}

/// Waits until what the node heard of its devices is done: udev's thread there has nothing to do, or takes something up at once.
fn settle(node: &NodeRecord, settle: &Settle) -> Result<()> {
    let path = node.root.join(TASKS);
    #[allow(clippy::disallowed_methods, reason = "no node's time")]
    let now = Instant::now;
    let end = now() + Duration::from_secs(settle.patience_s.min(u64::from(u32::MAX)));
    loop {
        let tasks = fs::read_to_string(&path).with_context(|| {
            format!("Cannot wait for the devices of node {}: read {}", node.name, path.display())
        })?;
        if is_settled(&tasks) || settle.until.as_ref().is_some_and(|file| Path::new(file).exists())
        {
            return Ok(());
        }
        if now() >= end {
            bail!(
                "udevadm: names of devices of node {} are not done after {} seconds: a command that tells them may hang. \
                 umc dmesg {0} may say why",
                node.name,
                settle.patience_s
            );
        }
        crate::top::pause(AGAIN);
    }
}

/// Whether the thread waits, without an end, for something to hear.
fn is_settled(tasks: &str) -> bool {
    let mut of_names = tasks.lines().filter(|line| line.rsplit('\t').next() == Some(NAMES_DEVICES));
    of_names.all(|line| line.starts_with("I\t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_of_settle() {
        let of = |line| Settle::of(&words(line)).map_err(|error| error.to_string());
        assert_eq!(of(""), Ok(Settle { patience_s: 120, until: None }));
        let both = Settle { patience_s: 7, until: Some("/dev/x".into()) };
        assert_eq!(of("--timeout=7 -E /dev/x").as_ref(), Ok(&both));
        assert_eq!(of("-t7 --exit-if-exists /dev/x").as_ref(), Ok(&both));
        assert!(of("-t x").unwrap_err().contains("no number"));
        assert!(of("--seq-end=1").unwrap_err().contains("--timeout"));
        assert!(of("-ü").is_err() && of("").is_ok() && of("x").is_err());
    }

    #[test]
    fn it_is_settled_when_the_thread_waits() {
        let tasks = |state| {
            format!(
                "R\t2\t-\t-\tumcd\n{state}\t5\t0.1\twait queue\tudevd\nD\t6\t0.1\tx\tudevd/content\n"
            )
        };
        assert!(is_settled(&tasks("I")) && !is_settled(&tasks("R")) && !is_settled(&tasks("D")));
    }

    #[test]
    fn what_is_true_of_a_node_is_said() {
        let status = |line| {
            let error = systemctl_says("n", &words(line)).unwrap_err();
            error.downcast_ref::<Answered>().map(|answered| answered.0)
        };
        assert_eq!(status("is-active -q drbd"), Some(3));
        assert_eq!(status("--quiet is-system-running"), Some(1));
        assert_eq!(status("status drbd"), None);
        assert_eq!(status(""), None);
    }
}
