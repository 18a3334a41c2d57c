// SPDX-License-Identifier: GPL-2.0-only
//! `umc run` and `umc env`: programs that see a node.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, io};

use anyhow::{Context, Result, bail};
use umc_protocol::node::{FS_ROOT, HELPER_OF, NodeRecord};
use umc_protocol::tools::ENVIRONMENT;

use crate::netns::NetNs;

const PRELOAD: &str = "LD_PRELOAD";
const LIBRARY: &str = "libumc_preload.so";

/// A file of this project that is installed beside `umc`.
pub fn beside(name: &str) -> Result<PathBuf> {
    let me = env::current_exe().context("Cannot find out where umc itself is")?;
    let file = me.with_file_name(name);
    if !file.exists() {
        bail!(
            "{} is missing: it belongs beside umc. Build everything: cargo build --release --workspace",
            file.display()
        );
    }
    Ok(file)
}

/// LD_PRELOAD with our library after what is there already.
fn preload() -> Result<OsString> {
    let library = beside(LIBRARY)?;
    if library.as_os_str().as_bytes().iter().any(|b| matches!(b, b' ' | b':')) {
        bail!(
            "Cannot preload {}: LD_PRELOAD takes no path with a space or a colon. Install umc elsewhere.",
            library.display()
        );
    }
    Ok(appended(env::var_os(PRELOAD).unwrap_or_default(), &library))
}

fn appended(before: OsString, library: &Path) -> OsString {
    let mut list = without_ours(&before);
    if !list.is_empty() {
        list.push(":");
    }
    list.push(library);
    list
}

/// A list of libraries less ours, wherever it was built.
fn without_ours(list: &OsStr) -> OsString {
    let others = list
        .as_bytes()
        .split(|b| matches!(b, b' ' | b':'))
        .filter(|entry| !entry.is_empty())
        .filter(|entry| Path::new(OsStr::from_bytes(entry)).file_name() != Some(LIBRARY.as_ref()));
    OsString::from_vec(others.collect::<Vec<_>>().join(&b':'))
}

/// Take a command out of any node this process may see.
pub fn leave(command: &mut Command) {
    command.env_remove(FS_ROOT);
    // What a node's helper starts may outlive that node.
    command.env_remove(HELPER_OF);
    for (name, value) in ENVIRONMENT {
        if env::var_os(name).is_some_and(|set| set == value) {
            command.env_remove(name);
        }
    }
    match without_ours(&env::var_os(PRELOAD).unwrap_or_default()) {
        list if list.is_empty() => command.env_remove(PRELOAD),
        list => command.env(PRELOAD, list),
    };
}

/// The program that is run for `command`: `umc` itself for what would act on the host's kernel, as the redirector has it
/// for every program that is started later.
///
/// # Errors
/// There is no command.
pub fn program(command: &[impl AsRef<OsStr>]) -> Result<PathBuf> {
    let [program, arguments @ ..] = command else { bail!("There is no command to run.") };
    let mut arguments = arguments.iter().map(|argument| argument.as_ref().as_bytes());
    let program = program.as_ref();
    match umc_protocol::programs::is_of_the_node(program.as_bytes(), &mut arguments) {
        true => env::current_exe().context("Cannot find out where umc itself is"),
        false => Ok(program.into()),
    }
}

/// Gives a command the faces of the node with this root.
///
/// # Errors
/// The redirector is missing, or cannot be named in LD_PRELOAD.
pub fn dress(command: &mut Command, root: &Path) -> Result<()> {
    command.env(FS_ROOT, root).env(PRELOAD, preload()?).envs(environment());
    Ok(())
}

/// A program that was to take this one's place and did not.
#[derive(Debug)]
pub struct CannotRun {
    /// What was to run.
    pub program: PathBuf,
    /// What the host said.
    pub cause: io::Error,
    /// The next step, as a sentence; or empty.
    pub next: &'static str,
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cannot run {}", self.program.display())?;
        if self.next.is_empty() { Ok(()) } else { write!(f, ". {}", self.next) }
    }
}

impl std::error::Error for CannotRun {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// `umc run`: become `command` with the node's faces. Returns only to fail.
pub fn run(node: &NodeRecord, command: &[OsString]) -> Result<std::convert::Infallible> {
    let program = program(command)?;
    if let Some(netns) = NetNs::of_node(node)? {
        netns.enter().with_context(|| {
            format!("Cannot enter the network namespace of node {}. Run umc as root", node.name)
        })?;
    }
    let mut dressed = Command::new(&program);
    dressed.arg0(&command[0]).args(&command[1..]);
    dress(&mut dressed, &node.root)?;
    let cause = dressed.exec();
    Err(CannotRun { program, cause, next: "" }.into())
}

/// A stock program on a node that stands alone, to be started by the caller.
///
/// # Errors
/// Its network cannot be entered, or the redirector is missing.
pub fn command_on(node: &NodeRecord, words: &[impl AsRef<OsStr>]) -> Result<Command> {
    let (word, arguments) = words.split_first().context("There is no command to run.")?;
    let mut command = Command::new(word);
    command.args(arguments);
    dress(&mut command, &node.root)?;
    if let Some(netns) = NetNs::of_node(node)? {
        // SAFETY: between fork and exec only setns(2) is called.
        unsafe { command.pre_exec(move || netns.enter()) };
    }
    Ok(command)
}

/// What else programs on a node find in their environment; what the user has set stays.
fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    ENVIRONMENT.into_iter().filter(|(name, _)| env::var_os(name).is_none())
}

/// `umc env`: the same as shell exports.
pub fn exports(node: &NodeRecord) -> Result<OsString> {
    let mut text = OsString::new();
    let faces = [(FS_ROOT, node.root.clone().into_os_string()), (PRELOAD, preload()?)];
    let others = environment().map(|(name, value)| (name, OsString::from(value)));
    for (name, value) in faces.into_iter().chain(others) {
        text.push(format!("export {name}="));
        text.push(quoted(&value));
        text.push("\n");
    }
    Ok(text)
}

/// For a POSIX shell: inside single quotes everything but the quote itself is literal.
fn quoted(value: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for &byte in value.as_bytes() {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_library_comes_last_and_once() {
        let library = Path::new("/new/libumc_preload.so");
        for (before, want) in [
            ("", "/new/libumc_preload.so"),
            ("/a.so", "/a.so:/new/libumc_preload.so"),
            ("/old/libumc_preload.so /a.so:b.so", "/a.so:b.so:/new/libumc_preload.so"),
        ] {
            assert_eq!(appended(before.into(), library), want);
        }
        assert_eq!(without_ours("/old/libumc_preload.so".as_ref()), "");
    }

    #[test]
    fn values_survive_a_shell() {
        assert_eq!(quoted("/run/umc/a b".as_ref()), "'/run/umc/a b'");
        assert_eq!(quoted("it's $x".as_ref()), r"'it'\''s $x'");
    }
}
