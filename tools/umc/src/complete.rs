// SPDX-License-Identifier: GPL-2.0-only
//! What a shell is offered for the words of a command line: nodes, clusters, disks, modules, drivers, programs, and resources
//! behind DRBD's tools.
//!
//! The script of `umc completion` calls `umc` with COMPLETE=SHELL for each word that it completes, so names are those of
//! that moment.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{CommandFactory, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, ValueCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, PathCompleter};

use umc_protocol::control::{Request, Status};
use umc_protocol::node::NodeRecord;

use crate::client::Client;
use crate::cluster::{self, Place};
use crate::{Cli, nodes};

/// A node that does not answer for so long is passed over.
const PATIENCE_S: i64 = 1;
/// Variable that tells `umc` to complete, for the shell that it names.
const VARIABLE: &str = "COMPLETE";

/// Shells that can be told how.
#[derive(Clone, Copy, ValueEnum)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
}

/// Completes and ends, if that is what this program was called for.
pub fn complete() {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).bin("umc").completer("umc").complete();
}

/// `umc completion SHELL`.
pub fn print_script(shell: Shell) -> Result<()> {
    std::io::stdout().write_all(&script(shell)?).context("Cannot write the completion")
}

fn script(shell: Shell) -> Result<Vec<u8>> {
    let name = shell.to_possible_value().context("a shell without a name")?.get_name().to_owned();
    let shells = Shells::builtins();
    let completer = shells.completer(&name).with_context(|| format!("{name}: not known"))?;
    let mut script = vec![];
    completer.write_registration(VARIABLE, "umc", "umc", "umc", &mut script)?;
    Ok(script)
}

/// Those of the names that begin with what was typed.
fn matching(names: impl IntoIterator<Item = String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let names: BTreeSet<_> = names.into_iter().collect();
    names.iter().filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}

/// Nodes that run, or are to be cleaned up.
pub fn node() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let found = nodes::all().unwrap_or_default();
        matching(found.nodes.into_iter().map(|node| node.name), typed)
    })
}

/// Files.
pub fn file() -> ArgValueCompleter {
    ArgValueCompleter::new(PathCompleter::file())
}

/// Clusters that are up, or were kept.
pub fn cluster() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let found = cluster::all().unwrap_or_default();
        matching(found.into_iter().map(|place| place.name), typed)
    })
}

/// Nodes of the cluster that is meant.
pub fn cluster_node() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let plan = Place::meant(named_cluster().as_deref()).and_then(|place| place.plan());
        matching(plan.into_iter().flat_map(|plan| plan.nodes).map(|node| node.name), typed)
    })
}

/// The node of `umc run`, and the command when there is no node: both are the first word that is no option.
pub fn node_or_command() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        // The shell calls `umc -- umc run …`.
        match env::args_os().filter(|word| word == "--").count() {
            0 | 1 => node().complete(typed),
            _ => command().complete(typed),
        }
    })
}

/// Modules that were built, sets of them, or the path of one.
pub fn module() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let entries = fs::read_dir(cdrivers::module_dir()).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path());
        let names = files.filter_map(|file| {
            let is_module = file.extension() == Some("so".as_ref());
            let name = if is_module { file.file_stem() } else { file.file_name() };
            (is_module || file.is_dir()).then(|| Some(name?.to_str()?.to_owned())).flatten()
        });
        let mut found = matching(names, typed);
        found.extend(PathCompleter::file().complete(typed));
        found
    })
}

/// Drivers of the catalogue, or a directory.
pub fn driver() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let names = cdrivers::catalogue::DRIVERS.iter().map(|driver| driver.name.to_owned());
        let mut found = matching(names, typed);
        found.extend(PathCompleter::dir().complete(typed));
        found
    })
}

/// A program in PATH, and behind it files.
pub fn command() -> ArgValueCompleter {
    ArgValueCompleter::new(CommandWords)
}

struct CommandWords;

impl ValueCompleter for CommandWords {
    fn complete(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        if typed.as_encoded_bytes().contains(&b'/') {
            return PathCompleter::file().complete(typed);
        }
        let path = env::var_os("PATH").unwrap_or_default();
        // Where programs of administrators are, whoever asks.
        let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        matching(
            dirs.flat_map(|dir| programs(&dir)).filter_map(|name| name.into_string().ok()),
            typed,
        )
    }

    fn complete_at(&self, index: usize, typed: &OsStr) -> Vec<CompletionCandidate> {
        // The index counts from the command only where no other argument stands before the dashes.
        match words_of_drbd() {
            Some(words) => {
                let mut found = matching(words, typed);
                found.extend(PathCompleter::any().complete(typed));
                found
            }
            None if index == 0 => self.complete(typed),
            None => PathCompleter::any().complete(typed),
        }
    }
}

/// What `drbdadm` is usually told.
const VERBS: [&str; 19] = [
    "adjust",
    "attach",
    "connect",
    "create-md",
    "cstate",
    "detach",
    "disconnect",
    "down",
    "dstate",
    "dump",
    "invalidate",
    "primary",
    "resize",
    "role",
    "secondary",
    "status",
    "up",
    "verify",
    "wait-connect",
];

/// Verbs and resources, behind one of DRBD's tools.
fn words_of_drbd() -> Option<Vec<String>> {
    let words: Vec<String> = env::args().collect();
    let is_tool = |word: &String| ["drbdadm", "drbdsetup"].contains(&word.as_str());
    let tool = words.iter().rposition(is_tool).filter(|tool| tool + 1 < words.len())?;
    let is_next = tool + 2 == words.len();
    let verbs = VERBS.iter().filter(|_| is_next).map(|verb| (*verb).to_owned());
    let plan = Place::meant(named_cluster().as_deref()).and_then(|place| place.plan());
    let planned = plan.into_iter().flat_map(|plan| plan.resources).map(|of| of.name);
    let nodes = nodes::all().unwrap_or_default().nodes;
    let dirs = nodes.iter().map(|node| node.root.join("sys/kernel/debug/drbd/resources"));
    let entries = dirs.flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
    let up = entries.filter_map(|entry| entry.file_name().into_string().ok());
    Some(verbs.chain(planned).chain(up).collect())
}

/// The cluster that the line names.
fn named_cluster() -> Option<String> {
    let mut words = env::args().skip_while(|word| word != "--name");
    words.nth(1)
}

/// Disks of the nodes that run.
pub fn disk() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let words: Vec<String> = env::args().collect();
        let mut nodes = nodes::all().unwrap_or_default().nodes;
        nodes.retain(NodeRecord::is_alive);
        // Of the node that is named, if one is.
        if nodes.iter().any(|node| words.contains(&node.name)) {
            nodes.retain(|node| words.contains(&node.name));
        }
        let disks = nodes.iter().filter_map(|node| {
            let client = Client::connect(node).ok()?.with_patience(PATIENCE_S).ok()?;
            client.request::<Status>(&Request::Status {}).ok()
        });
        let disks = disks.flat_map(|status| status.disks);
        // What a driver made is not to be named here.
        let own = disks.filter(|disk| disk.backing.contains('/'));
        matching(own.map(|disk| disk.name), typed)
    })
}

fn programs(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let is_program = |entry: &fs::DirEntry| {
        fs::metadata(entry.path())
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    entries.filter(is_program).map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is offered for the last word of the line.
    fn offered(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let last = words.len() - 1;
        let found = clap_complete::engine::complete(&mut Cli::command(), words, last, None);
        let found = found.unwrap_or_else(|error| panic!("{line}: {error}"));
        found.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_drivers_and_programs_are_offered() {
        for sub in Cli::command().get_subcommands() {
            assert!(offered("umc ").contains(&sub.get_name().to_owned()), "{}", sub.get_name());
        }
        assert_eq!(offered("umc disk re"), ["resize"]);
        assert_eq!(offered("umc build dr"), ["drbd"]);
        assert!(offered("umc start alpha --hand").contains(&"--handler-dir".to_owned()));
        assert!(offered("umc run alpha -- en").contains(&"env".to_owned()));
        assert!(offered("umc run alpha -- ls /de").contains(&"/dev/".to_owned()));
    }

    #[test]
    fn each_shell_has_a_script_that_calls_umc() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell).unwrap()).unwrap();
            assert!(script.contains("umc") && script.contains(VARIABLE), "{script}");
        }
    }
}
