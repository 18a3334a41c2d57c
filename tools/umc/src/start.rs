// SPDX-License-Identifier: GPL-2.0-only
//! `umc start` and `umc stop`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::memfd::{MFdFlags, memfd_create};
use umc_protocol::control::{Request, Status};
use umc_protocol::disk::DiskSpec;
use umc_protocol::node::{self, NodeRecord};
use umc_protocol::process::Process;

use crate::client::{Client, Refusal};
use crate::netns::NetNs;
use crate::nodes;
use crate::on_node::NamedNode;
use crate::redirect;

/// How much of a log is shown when a node does not come up.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;
/// How long a node is asked whether it runs, and one that does not answer is given to end.
const ANSWER_SECONDS: i64 = 2;
const DEATH_MS: u16 = 10_000;
/// How long a node that was told to stop is waited for without a word.
const STOP_MS: u16 = 10_000;

/// `umc start`: a node, and the options of umcd.
#[derive(Args)]
pub struct Start {
    #[command(flatten)]
    on: NamedNode,

    /// Directory where the node's /dev, /proc and /sys appear [default: below the runtime directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Directory for what the tools keep between starts [default: below the runtime directory]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Load a module, and what it depends on, at start
    #[arg(long, value_name = "NAME[,PARAM=VALUE…]")]
    modprobe: Vec<OsString>,

    /// Add a disk: ram, file, or any handler found in the handler directories
    #[arg(long, value_name = "NAME=HANDLER/CONFIG[,size=N]", value_parser = disk)]
    disk: Vec<String>,

    /// Where else to look for handler_*.so files, before the directory of Debian's tcmu-runner
    #[arg(long, value_name = "DIR")]
    handler_dir: Vec<PathBuf>,

    /// Give the node a network namespace: a name of ip-netns(8), or a file such as /proc/PID/ns/net
    #[arg(long, value_name = "NAME|FILE")]
    netns: Option<PathBuf>,

    /// Report a task that sleeps uninterruptibly for longer in the kernel log, with its stack; 0 = never [default: 120]
    #[arg(long, value_name = "SECONDS")]
    hung_task_timeout: Option<u64>,
}

/// What umcd would refuse is refused before there is one.
fn disk(text: &str) -> Result<String, String> {
    text.parse::<DiskSpec>().map(|_| text.into())
}

impl Start {
    /// Its host name towards the tools that control it.
    pub fn node(&self) -> &str {
        self.on.name()
    }

    fn arguments(&self, dir: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![];
        let mut option = |name: &str, value: &std::ffi::OsStr| {
            arguments.push(name.into());
            arguments.push(value.into());
        };
        option("--name", self.node().as_ref());
        option("--root", self.root.clone().unwrap_or_else(|| dir.join(node::ROOT)).as_os_str());
        option("--state", self.state.clone().unwrap_or_else(|| dir.join(node::STATE)).as_os_str());
        option("--log", dir.join(node::LOG).as_os_str());
        self.handler_dir.iter().for_each(|dir| option("--handler-dir", dir.as_os_str()));
        self.disk.iter().for_each(|disk| option("--disk", disk.as_ref()));
        self.modprobe.iter().for_each(|module| option("--modprobe", module));
        if let Some(seconds) = self.hung_task_timeout {
            option("--hung-task-timeout", seconds.to_string().as_ref());
        }
        arguments
    }

    /// Start the node and return when it answers.
    pub fn run(&self) -> Result<()> {
        let name = self.node();
        let dir = node::make_node_dir(name)
            .map_err(|text| anyhow!(text))
            .with_context(|| format!("Cannot start node {name}"))?;
        let _lock = lock(name, &dir)?;
        if let Some(record) = nodes::record(name)? {
            if runs(&record)? {
                bail!(
                    "Node {name} is running already (process {}). To stop it: umc stop {name}",
                    record.pid
                );
            }
            nodes::clean_up(name)?;
        }
        // Before the node exists, so that its record cannot appear unseen.
        let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .with_context(|| format!("Cannot start node {name}: watch {}", dir.display()))?;
        watch
            .add_watch(&dir, AddWatchFlags::IN_MOVED_TO)
            .with_context(|| format!("Cannot start node {name}: watch {}", dir.display()))?;
        let cannot = || format!("Cannot start node {name}");
        // A file without a name: what umcd says before it has a log, or when that cannot be written.
        let said = memfd_create(c"umcd", MFdFlags::MFD_CLOEXEC).with_context(cannot)?;
        let mut child = self.spawn(&dir, said.try_clone().with_context(cannot)?)?;
        match wait_until_up(&mut child, &watch, &dir)? {
            Some(record) => {
                println!("Node {name} is up, root {}", record.root.display());
                println!("To run a command on it: umc run {name} -- COMMAND");
                Ok(())
            }
            None => {
                let status =
                    child.wait().with_context(|| format!("Cannot wait for node {name}"))?;
                let log = dir.join(node::LOG);
                let shown = File::open(&log).and_then(tail).unwrap_or_default();
                let said = tail(said.into()).unwrap_or_default();
                eprint!("{shown}{}", if shown.ends_with(&said) { "" } else { &said });
                bail!(
                    "Node {name} did not come up: umcd ended with {status}. Its log is {}",
                    log.display()
                )
            }
        }
    }

    fn spawn(&self, dir: &Path, stderr: OwnedFd) -> Result<Child> {
        let name = self.node();
        let umcd = redirect::beside("umcd")?;
        let mut command = Command::new(&umcd);
        command.args(self.arguments(dir)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        // A node started from `umc run` is not to see another node.
        redirect::leave(&mut command);
        let netns = self.netns.as_deref().map(NetNs::open).transpose()?;
        let is_elsewhere = netns.is_some();
        // SAFETY: between fork and exec only setns(2) and setsid(2) are called.
        unsafe {
            command.pre_exec(move || {
                netns.as_ref().map_or(Ok(()), NetNs::enter)?;
                nix::unistd::setsid().map(drop).map_err(Into::into)
            });
        }
        command.spawn().with_context(|| match is_elsewhere {
            true => format!(
                "Cannot start node {name}: enter its network namespace (as root), and run {}",
                umcd.display()
            ),
            false => format!("Cannot start node {name}: run {}", umcd.display()),
        })
    }
}

/// Only one `umc start` of a node at a time.
fn lock(name: &str, dir: &Path) -> Result<Flock<File>> {
    let path = dir.join(node::LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file =
        file.with_context(|| format!("Cannot start node {name}: open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("Node {name} is just being started by another umc start. See umc ls.")
        }
        Err((_, error)) => {
            Err(error).with_context(|| format!("Cannot start node {name}: lock {}", path.display()))
        }
    }
}

/// The record of the node when it answers; None when its process ended before.
fn wait_until_up(child: &mut Child, watch: &Inotify, dir: &Path) -> Result<Option<NodeRecord>> {
    let pid = child.id();
    let process = Process::of_child(child).context("Cannot watch umcd")?;
    loop {
        // The record is the last thing a starting node writes: whoever finds it can connect.
        if let Ok(record) = NodeRecord::load(dir)
            && record.pid == pid
            && Client::connect(&record)
                .and_then(|client| client.request::<Status>(&Request::Status {}))
                .is_ok()
        {
            return Ok(Some(record));
        }
        let mut fds = [process.poll_fd(), PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("Cannot wait for umcd"),
        }
        if fds[0].any().unwrap_or(true) {
            return Ok(None);
        }
        match watch.read_events() {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error).context("Cannot wait for umcd"),
        }
    }
}

/// Whether the node answers, or does not end either. One that was killed just now is waited for: what it has open is
/// its own until the host has taken it apart.
fn runs(record: &NodeRecord) -> Result<bool> {
    let cannot = || format!("Cannot watch process {} of node {}", record.pid, record.name);
    let Some(process) = Process::of_node(record).with_context(cannot)? else { return Ok(false) };
    let answers = || {
        let client = Client::connect(record)?.with_patience(ANSWER_SECONDS)?;
        client.request::<Status>(&Request::Status {})
    };
    Ok(answers().is_ok() || !process.wait(DEATH_MS.into()).with_context(cannot)?)
}

/// The last lines of a log.
fn tail(mut file: File) -> std::io::Result<String> {
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
    let mut text = vec![];
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines[from..].iter().map(|line| format!("{line}\n")).collect())
}

/// `umc stop NODE`: returns when the process is gone.
pub fn stop(name: &str) -> Result<()> {
    let Some(record) = nodes::record(name)? else {
        bail!("Node {name} is not running. umc ls lists nodes.");
    };
    let cannot_watch = || format!("Cannot watch process {} of node {name}", record.pid);
    let process = Process::of_node(&record).with_context(cannot_watch)?;
    let wait = |timeout| match &process {
        Some(process) => process.wait(timeout).with_context(cannot_watch),
        None => Ok(true),
    };
    let asked = match record.is_alive() {
        true => Client::connect(&record).and_then(|client| client.request(&Request::Stop {})),
        false => Err(anyhow!("Node {name} is dead, but its process {} does not end", record.pid)),
    };
    match asked {
        Ok(()) => {}
        Err(error) if error.is::<Refusal>() => return Err(error),
        // Killed, perhaps just now.
        Err(error) if !wait(DEATH_MS.into())? => return Err(error),
        Err(_) => {
            nodes::clean_up(name)?;
            println!("Node {name} had died; what it left is cleaned up.");
            return Ok(());
        }
    }
    if !wait(STOP_MS.into())? {
        let log = nodes::directory(name)?.join(node::LOG);
        eprintln!("Node {name} takes its time to end; still waiting. Its log is {}", log.display());
        wait(PollTimeout::NONE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines() {
        let path = std::env::temp_dir().join(format!("umc-tail-{}", std::process::id()));
        let text: String = (0..2000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&path, text).unwrap();
        let tail = tail(File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.starts_with("line 1980\n") && tail.ends_with("line 1999\n"));
    }
}
