// SPDX-License-Identifier: GPL-2.0-only
//! `reboot`, `halt`, `poweroff`, `shutdown`, `telinit` and `systemctl`, as far as they end a machine.
//!
//! The redirector runs `umc` in their place, so that a script which ends its machine ends the node, and the host goes
//! on. With force the node ends as by the loss of its power; without, it is told to stop, as by `umc stop`, and
//! nobody waits for that: the caller may be what the node waits for. A node does not start again by itself.

use std::env;
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result, bail};
use umc_protocol::node::NodeRecord;
use umc_protocol::process::Process;

use crate::nodes;
use umc_protocol::systemctl::{self, Ending};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// As by `umc stop`.
    Stop,
    /// This key of the magic SysRq.
    AtOnce(&'static str),
    /// Only said, not done.
    Nothing,
}

/// Act as the program called `name`; None when it does not end a machine.
pub fn applet(name: &str, arguments: &[String]) -> Option<Result<()>> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let end = match name {
        "reboot" | "halt" | "poweroff" => direct(name, &arguments),
        "systemctl" => systemctl(&arguments)?,
        "shutdown" => shutdown(&arguments),
        "telinit" | "init" => telinit(&arguments),
        _ => return None,
    };
    Some(end.and_then(|end| run(name, &end)))
}

fn run(program: &str, end: &End) -> Result<()> {
    if *end == End::Nothing {
        return Ok(());
    }
    // The only node that runs need not be the one that is meant, and the caller may believe that it is on a machine.
    if env::var_os("UMC_FS_ROOT").is_none_or(|root| root.is_empty()) {
        bail!(
            "{program}: UMC_FS_ROOT names no node, so nothing is ended. Run it by umc run NODE -- {program}, or use umc stop NODE."
        );
    }
    let node = nodes::pick(None).with_context(|| format!("{program}: the host goes on"))?;
    match end {
        End::AtOnce(key) => switch_off(&node, key),
        _ => terminate(&node),
    }
}

/// The power goes away.
fn switch_off(node: &NodeRecord, key: &str) -> Result<()> {
    let path = node.root.join("proc/sysrq-trigger");
    let mut trigger = File::options().write(true).open(&path).with_context(|| {
        format!("Cannot end node {}: open {}. Try: umc stop {0}", node.name, path.display())
    })?;
    // The node ends in the midst of this write, which is then no success.
    let _ = trigger.write_all(key.as_bytes());
    Ok(())
}

/// SIGTERM, which a node takes as `umc stop`.
fn terminate(node: &NodeRecord) -> Result<()> {
    let cannot = || format!("Cannot stop node {}: signal process {}", node.name, node.pid);
    match Process::of_node(node).with_context(cannot)? {
        Some(process) => process.signal(libc::SIGTERM).with_context(cannot),
        None => Ok(()),
    }
}

/// Whether one of a command's short options is in `letters`, or one of its long ones in `words`.
fn has(arguments: &[&str], letters: &str, words: &[&str]) -> bool {
    arguments.iter().any(|argument| match argument.strip_prefix("--") {
        Some(word) => words.contains(&word),
        None => argument
            .strip_prefix('-')
            .is_some_and(|short| short.chars().any(|letter| letters.contains(letter))),
    })
}

/// The key for a program or verb of this name.
fn key(name: &str) -> &'static str {
    if matches!(name, "halt" | "poweroff" | "exit") { "o" } else { "b" }
}

/// `reboot`, `halt`, `poweroff`.
fn direct(name: &str, arguments: &[&str]) -> Result<End> {
    Ok(if has(arguments, "w", &["wtmp-only", "help"]) {
        End::Nothing
    } else if has(arguments, "f", &["force"]) {
        End::AtOnce(key(name))
    } else {
        End::Stop
    })
}

fn systemctl(arguments: &[&str]) -> Option<Result<End>> {
    Some(match systemctl::ending(arguments.iter().map(|argument| argument.as_bytes()))? {
        Ending::Verb(verb) => direct(verb, arguments),
        Ending::Unit if has(arguments, "", &["help"]) => Ok(End::Nothing),
        // Force is none to a unit.
        Ending::Unit => Ok(End::Stop),
    })
}

fn shutdown(arguments: &[&str]) -> Result<End> {
    if has(arguments, "ck", &["help"]) {
        return Ok(End::Nothing);
    }
    match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(&("now" | "+0")) => Ok(End::Stop),
        time => bail!(
            "shutdown: umc's shutdown knows no time but \"now\" ({} is asked for).",
            time.unwrap_or(&"+1")
        ),
    }
}

fn telinit(arguments: &[&str]) -> Result<End> {
    match arguments.iter().find(|argument| !argument.starts_with('-')) {
        Some(&("0" | "6")) => Ok(End::Stop),
        _ => bail!("telinit: umc's telinit knows the run levels 0 and 6, which stop the node."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(command: &str) -> End {
        let words: Vec<_> = command.split(' ').collect();
        match words[0] {
            "systemctl" => systemctl(&words[1..]).expect("an end"),
            "shutdown" => shutdown(&words[1..]),
            "init" => telinit(&words[1..]),
            name => direct(name, &words[1..]),
        }
        .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    #[test]
    fn force_is_the_loss_of_power() {
        for command in ["reboot -f", "reboot --force", "reboot -nf", "systemctl reboot -ff"] {
            assert_eq!(end(command), End::AtOnce("b"), "{command}");
        }
        for command in ["halt -f", "poweroff -f", "systemctl --force --force poweroff"] {
            assert_eq!(end(command), End::AtOnce("o"), "{command}");
        }
    }

    #[test]
    fn without_force_it_is_a_stop() {
        let commands =
            ["reboot", "halt -p", "systemctl reboot", "shutdown -r now", "shutdown now", "init 6"];
        for command in commands {
            assert_eq!(end(command), End::Stop, "{command}");
        }
        for command in [
            "systemctl exit",
            "systemctl start reboot.target",
            "systemctl isolate -f poweroff.target",
            "systemctl --message reboot halt",
        ] {
            assert_eq!(end(command), End::Stop, "{command}");
        }
        for command in
            ["systemctl start --help reboot.target", "reboot -w", "shutdown -c", "shutdown -k now"]
        {
            assert_eq!(end(command), End::Nothing, "{command}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(shutdown(&["-r", "+5"]).is_err());
        assert!(shutdown(&["-r"]).is_err());
        assert!(telinit(&["1"]).is_err());
        assert!(systemctl(&["start", "drbd"]).is_none());
        assert!(systemctl(&["status", "reboot"]).is_none());
        assert!(applet("ls", &[]).is_none());
    }
}
