// SPDX-License-Identifier: GPL-2.0-only
//! What arrived last at each node of clusters: a helper on each (`umc cluster capture`) while a page is open, and what it keeps.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::cluster::{Arrived, address};
use crate::top::target::{Chosen, Target};

/// A helper answers at once.
const PATIENCE_MS: u16 = 2000;
/// A helper that failed is tried again after this long: most fail for good, as for want of CAP_NET_RAW.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Of what a helper says when it fails, its last line is shown, looked for in so many bytes.
const LAST_WORDS_MAX: usize = 4096;

/// Helpers, by the process of the node that they are on.
#[derive(Default)]
pub struct Captures {
    pages: usize,
    helpers: BTreeMap<u32, Helper>,
}

enum Helper {
    Runs(Capture),
    Failed { why: String, since: Instant },
}

/// A helper that answers.
struct Capture {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What arrived over a link.
pub struct Between {
    /// Frames, the newest last.
    pub packets: Vec<Value>,
    /// Why some are missing: a sentence for each node that cannot tell.
    pub failed: Vec<String>,
}

impl Captures {
    /// One more page wants them.
    pub fn page_opens(&mut self) {
        self.pages += 1;
    }

    /// One page less; the last takes the helpers with it, since each copies every frame of its node.
    pub fn page_closes(&mut self) {
        self.pages -= 1;
        if self.pages == 0 {
            self.helpers.clear();
        }
    }

    /// Nodes that came have a helper, and those that went have none.
    pub fn renew(&mut self, chosen: &Chosen) {
        if self.pages == 0 {
            return;
        }
        let targets = chosen.targets().unwrap_or_default();
        let pids: Vec<u32> = targets.iter().filter_map(pid).collect();
        self.helpers.retain(|pid, _| pids.contains(pid));
        for helper in self.helpers.values_mut() {
            helper.look_after();
        }
        for target in targets.iter().filter(|target| target.cluster.is_some()) {
            let Some(pid) = pid(target) else { continue };
            if self.helpers.get(&pid).is_none_or(Helper::is_due) {
                self.helpers.insert(pid, Helper::of(helper_on(target).and_then(Capture::begin)));
            }
        }
    }

    /// Frames between two nodes of a cluster.
    ///
    /// # Errors
    /// They are none of one cluster, or no page is open.
    pub fn between(&mut self, a: &Target, b: &Target) -> Result<Between> {
        ensure!(self.pages > 0, "Packets are kept while a page is open, and none is");
        let mut all: Vec<(u64, Value)> = Vec::new();
        let mut failed = Vec::new();
        for (at, from) in [(a, b), (b, a)] {
            let Some((_, place)) = &from.cluster else {
                bail!("{} is no node of a cluster: its network is the host's", from.name)
            };
            let Some(helper) = pid(at).and_then(|pid| self.helpers.get_mut(&pid)) else { continue };
            let arrived = match helper.ask() {
                Ok(arrived) => arrived,
                Err(why) => {
                    failed.push(format!("Node {} does not tell what arrives: {why}", at.name));
                    continue;
                }
            };
            let sender = address(*place);
            let arrived = arrived.into_iter().filter(|one| one.from.to_string() == sender);
            all.extend(arrived.map(|one| {
                let shown = json!({
                    "at_us": one.at_us,
                    "from": from.name,
                    "to": at.name,
                    "what": one.what,
                    "len": one.len,
                });
                (one.at_us, shown)
            }));
        }
        all.sort_by_key(|(at, _)| *at);
        Ok(Between { packets: all.into_iter().map(|(_, shown)| shown).collect(), failed })
    }
}

fn pid(target: &Target) -> Option<u32> {
    target.record.as_ref().map(|record| record.pid)
}

fn helper_on(target: &Target) -> Result<Command> {
    let (live, node) = target.cluster.as_ref().context("no cluster's")?;
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let mut command = live.way(*node)?.program(me);
    command.args(["cluster", "capture"]);
    Ok(command)
}

#[allow(clippy::disallowed_methods, reason = "no node's time")]
fn now() -> Instant {
    Instant::now()
}

impl Helper {
    fn of(begun: Result<Capture>) -> Helper {
        match begun {
            Ok(capture) => Helper::Runs(capture),
            Err(error) => Helper::failed(format!("{error:#}")),
        }
    }

    fn failed(why: String) -> Helper {
        Helper::Failed { why, since: now() }
    }

    /// One that ended has failed: its input is still open.
    fn look_after(&mut self) {
        if let Helper::Runs(capture) = self
            && !matches!(capture.child.try_wait(), Ok(None))
        {
            let why = capture.last_words().unwrap_or_else(|| "Its helper ended".into());
            *self = Helper::failed(why);
        }
    }

    /// Whether it is to be begun again.
    fn is_due(&self) -> bool {
        matches!(self, Helper::Failed { since, .. } if since.elapsed() >= AGAIN_AFTER)
    }

    /// What arrived, or why that is not known. One that failed once is not asked again: a late answer would be taken for that
    /// to the next question.
    fn ask(&mut self) -> Result<Vec<Arrived>, String> {
        let why = match self {
            Helper::Failed { why, .. } => return Err(why.clone()),
            Helper::Runs(capture) => match capture.ask() {
                Ok(arrived) => return Ok(arrived),
                Err(error) => {
                    let _ = capture.child.kill();
                    let _ = capture.child.wait();
                    capture.last_words().unwrap_or_else(|| format!("{error:#}"))
                }
            },
        };
        *self = Helper::failed(why.clone());
        Err(why)
    }
}

impl Capture {
    fn begin(mut command: Command) -> Result<Capture> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("Cannot start a helper on the node")?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        Ok(Capture {
            child,
            to: to.context("a helper without a pipe")?,
            from: BufReader::new(from.context("a helper without a pipe")?),
        })
    }

    fn ask(&mut self) -> Result<Vec<Arrived>> {
        self.to.write_all(b"\n").context("Cannot ask what arrived")?;
        let mut fds = [PollFd::new(self.from.get_ref().as_fd(), PollFlags::POLLIN)];
        let answers = poll(&mut fds, PollTimeout::from(PATIENCE_MS)).unwrap_or(0);
        ensure!(answers > 0, "Its helper does not answer");
        let mut line = String::new();
        self.from.read_line(&mut line).context("Cannot hear what arrived")?;
        serde_json::from_str(&line).context("Cannot understand what arrived")
    }

    /// The last line of what one that ended said.
    fn last_words(&mut self) -> Option<String> {
        let mut from = self.child.stderr.take()?;
        let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) == 0 {
            return None;
        }
        let mut said = [0; LAST_WORDS_MAX];
        let len = from.read(&mut said).unwrap_or(0);
        let said = String::from_utf8_lossy(&said[..len]);
        let last = said.lines().rfind(|line| !line.trim().is_empty())?;
        Some(last.strip_prefix("umc: ").unwrap_or(last).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helper(script: &str) -> Helper {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Helper::of(Capture::begin(command))
    }

    #[test]
    fn a_helper_answers_again_and_again() {
        let mut helper = helper("while read -r _; do echo '[]'; done");
        assert!(helper.ask().unwrap().is_empty() && helper.ask().unwrap().is_empty());
        helper.look_after();
        assert!(matches!(helper, Helper::Runs(_)));
    }

    #[test]
    fn one_that_fails_says_why_and_is_left_alone() {
        let mut helper = helper("echo first >&2; echo umc: no packet sockets here >&2; exit 1");
        assert_eq!(helper.ask().unwrap_err(), "no packet sockets here");
        assert_eq!(helper.ask().unwrap_err(), "no packet sockets here");
        assert!(!helper.is_due());
    }

    #[test]
    fn a_late_answer_is_nobody_elses() {
        let mut helper = helper("read -r _; read -r _; echo '[]'");
        assert_eq!(helper.ask().unwrap_err(), "Its helper does not answer");
        assert!(matches!(helper, Helper::Failed { .. }));
    }
}
