// SPDX-License-Identifier: GPL-2.0-only
//! A cluster that is up, as commands use it: programs on its nodes, and what its nodes say.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use umc_protocol::node::NodeRecord;

use super::place::{Place, Record};
use super::plan::Plan;
use super::spaces::Way;
use crate::drbd_state::DrbdState;

/// So much of what a program says is shown when it fails.
const SAID_LINES_MAX: usize = 12;

/// A cluster that is up.
pub struct Live {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub plan: Plan,
    /// Its processes and namespaces.
    pub record: Record,
}

impl Live {
    /// The cluster at a place.
    ///
    /// # Errors
    /// It is not up.
    pub fn at(place: Place) -> Result<Live> {
        let record = place.record()?;
        Ok(Live { plan: place.plan()?, record, place })
    }

    /// The cluster that a command means.
    ///
    /// # Errors
    /// None is meant, or it is not up.
    pub fn meant(name: Option<&str>) -> Result<Live> {
        Live::at(Place::meant(name)?)
    }

    /// The way into a node.
    ///
    /// # Errors
    /// This user may not go there.
    pub fn way(&self, node: usize) -> Result<Way> {
        Way::to(&self.place, &self.record, node, self.name(node))
    }

    /// The name of a node.
    pub fn name(&self, node: usize) -> &str {
        &self.plan.nodes[node].name
    }

    /// The record of a node that runs.
    pub fn node(&self, node: usize) -> Option<NodeRecord> {
        let record = NodeRecord::load(&self.place.node(self.name(node))).ok()?;
        record.is_alive().then_some(record)
    }

    /// Runs `umc` in the namespaces of a node.
    ///
    /// # Errors
    /// It fails; the text is what it says.
    pub fn umc(&self, node: usize, arguments: &[impl AsRef<OsStr>]) -> Result<String> {
        let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
        let mut command = self.way(node)?.program(me);
        let output = run(command.args(arguments))?;
        check(output, || format!("node {}", self.name(node)))
    }

    /// Runs a stock program on a node.
    ///
    /// # Errors
    /// It fails; the text is what it says.
    pub fn on(&self, node: usize, words: &[impl AsRef<OsStr>]) -> Result<String> {
        let output = run(&mut self.way(node)?.stock(words)?)?;
        check(output, || {
            let words: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
            format!("{} on node {}", words.join(" "), self.name(node))
        })
    }

    /// `drbdadm` with the cluster's configuration, on a node.
    ///
    /// # Errors
    /// As [`Live::on`].
    pub fn adm(&self, node: usize, words: &[&str]) -> Result<String> {
        let conf = self.place.conf();
        let head = ["drbdadm".as_ref(), "-c".as_ref(), conf.as_os_str()];
        let words: Vec<&OsStr> = head.into_iter().chain(words.iter().map(OsStr::new)).collect();
        self.on(node, &words)
    }

    /// Does something for each of these nodes at once.
    ///
    /// # Errors
    /// The first that there is.
    pub fn each(
        &self,
        nodes: impl IntoIterator<Item = usize>,
        what: impl Fn(usize) -> Result<()> + Sync,
    ) -> Result<()> {
        let what = &what;
        std::thread::scope(|scope| {
            let all: Vec<_> =
                nodes.into_iter().map(|node| scope.spawn(move || what(node))).collect();
            let results = all.into_iter().map(|one| one.join());
            // All of them are waited for before the first error is told.
            let results: Vec<_> = results.collect();
            results.into_iter().try_for_each(|result| match result {
                Ok(result) => result,
                Err(_) => bail!("A thread of umc panicked"),
            })
        })
    }

    /// What DRBD says on a node, now.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn drbd(&self, node: usize) -> Result<DrbdState> {
        let text = self.on(node, &["drbdsetup", "events2", "--now", "--statistics"])?;
        Ok(DrbdState::of(&text))
    }

    /// Waits until what DRBD says on a node is as wanted, at most so long.
    ///
    /// # Errors
    /// It does not come to that; `what` is what was waited for.
    pub fn await_drbd(
        &self,
        node: usize,
        patience: Duration,
        what: &str,
        is_it: impl Fn(&DrbdState) -> bool,
    ) -> Result<()> {
        let mut command = self.way(node)?.stock(&["drbdsetup", "events2"])?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Cannot run drbdsetup")?;
        let result = follow(&mut child, patience, is_it);
        let _ = child.kill();
        let _ = child.wait();
        let name = self.name(node);
        match result? {
            Followed::ItIs => Ok(()),
            Followed::Ended => bail!(
                "drbdsetup events2 ended on node {name}, which waits for {what}: the node may have died. Its log is {}",
                self.place.node(name).join(umc_protocol::node::LOG).display()
            ),
            Followed::TimeIsOver => bail!(
                "Node {name} waits for {what} for more than {} seconds. Its log is {}; the kernel's: \
                 umc cluster exec {name} -- umc dmesg {name}",
                patience.as_secs(),
                self.place.node(name).join(umc_protocol::node::LOG).display()
            ),
        }
    }
}

/// How reading lines ended.
enum Followed {
    ItIs,
    TimeIsOver,
    Ended,
}

/// Reads lines until the state is as wanted.
fn follow(
    child: &mut Child,
    patience: Duration,
    is_it: impl Fn(&DrbdState) -> bool,
) -> Result<Followed> {
    #[allow(clippy::disallowed_methods, reason = "no node's time")]
    let now = Instant::now;
    let end = now() + patience;
    let mut lines = BufReader::new(child.stdout.take().context("no output of drbdsetup")?);
    let mut state = DrbdState::default();
    loop {
        if lines.buffer().is_empty() {
            let left = end.saturating_duration_since(now()).as_millis().min(60_000) as u16;
            let mut fds = [PollFd::new(lines.get_ref().as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(left)) {
                Ok(0) if now() >= end => return Ok(Followed::TimeIsOver),
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error).context("Cannot wait for drbdsetup"),
            }
        }
        let mut line = String::new();
        if lines.read_line(&mut line).context("Cannot read what drbdsetup says")? == 0 {
            return Ok(Followed::Ended);
        }
        state.apply(&line);
        if state.is_whole && is_it(&state) {
            return Ok(Followed::ItIs);
        }
    }
}

/// Runs a program to its end, without input.
pub fn run(command: &mut Command) -> Result<Output> {
    let cannot = cannot_run(command);
    command.stdin(Stdio::null()).output().context(cannot)
}

fn cannot_run(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    match &*program {
        "drbdadm" | "drbdsetup" => format!("Cannot run {program}: install drbd-utils"),
        "dmsetup" => format!("Cannot run {program}: install dmsetup"),
        _ => format!("Cannot run {program}"),
    }
}

/// Runs a program to its end, without input, for at most so long: then it is killed.
///
/// # Errors
/// It cannot be run, or takes longer.
pub fn run_within(command: &mut Command, patience: Duration) -> Result<Output> {
    let cannot = cannot_run(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| cannot.clone())?;
    let [stdout, stderr] =
        [child.stdout.take().map(read_aside), child.stderr.take().map(read_aside)];
    #[allow(clippy::disallowed_methods, reason = "no node's time")]
    let now = Instant::now;
    let end = now() + patience;
    let all = [stdout, stderr].map(|from| {
        from.and_then(|from| from.recv_timeout(end.saturating_duration_since(now())).ok())
    });
    let [Some(stdout), Some(stderr)] = all else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{cannot}: it did not end within {} seconds", patience.as_secs_f32());
    };
    Ok(Output { status: child.wait().context(cannot)?, stdout, stderr })
}

/// All that comes, when it has ended.
fn read_aside(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (to, all) = sync_channel(1);
    #[allow(clippy::disallowed_methods, reason = "no node's thread")]
    std::thread::spawn(move || {
        let mut read = Vec::new();
        let _ = from.read_to_end(&mut read);
        let _ = to.send(read);
    });
    all
}

/// What a program wrote, if it succeeded.
pub fn check(output: Output, what: impl FnOnce() -> String) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut said = String::new();
    let _ = output.stderr.as_slice().chain(output.stdout.as_slice()).read_to_string(&mut said);
    let said = said.trim().strip_prefix("umc: ").unwrap_or(said.trim());
    // Behind a wrong option some print all that they know.
    let said: Vec<&str> = said.lines().take(SAID_LINES_MAX).collect();
    bail!("{}: {}: {}", what(), output.status, said.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Duration) -> Result<Output> {
        run_within(Command::new("sh").args(["-c", script]), patience)
    }

    #[test]
    fn a_program_has_so_long_and_no_longer() {
        let minute = Duration::from_secs(60);
        let output = sh("echo out; echo err >&2; exit 3", minute).unwrap();
        assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(output.status.code(), Some(3));
        let error = sh("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
