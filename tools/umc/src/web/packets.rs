// SPDX-License-Identifier: GPL-2.0-only
//! What arrived last at each node of clusters: a helper on each (`umc cluster capture`), and what it keeps.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

use crate::cluster::{Arrived, address};
use crate::top::target::{Chosen, Target};

/// A helper answers at once.
const PATIENCE_MS: u16 = 2000;

/// Helpers, by the process of the node that they are on.
#[derive(Default)]
pub struct Captures(BTreeMap<u32, Capture>);

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

impl Captures {
    /// Nodes that came have a helper, and those that went have none.
    pub fn renew(&mut self, chosen: &Chosen) {
        let targets = chosen.targets().unwrap_or_default();
        let pids: Vec<u32> = targets.iter().filter_map(pid).collect();
        self.0.retain(|pid, capture| {
            pids.contains(pid) && matches!(capture.child.try_wait(), Ok(None))
        });
        for target in &targets {
            let Some(pid) = pid(target) else { continue };
            if !self.0.contains_key(&pid)
                && let Ok(capture) = begin(target)
            {
                self.0.insert(pid, capture);
            }
        }
    }

    /// Frames between two nodes of a cluster, the newest last.
    ///
    /// # Errors
    /// They are none of one cluster.
    pub fn between(&mut self, a: &Target, b: &Target) -> Result<Vec<Value>> {
        let mut all: Vec<(u64, Value)> = Vec::new();
        for (at, from) in [(a, b), (b, a)] {
            let Some((_, place)) = &from.cluster else {
                bail!("{} is no node of a cluster: its network is the host's", from.name)
            };
            let Some(capture) = pid(at).and_then(|pid| self.0.get_mut(&pid)) else { continue };
            let sender = address(*place);
            let arrived = capture.ask()?.into_iter().filter(|one| one.from.to_string() == sender);
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
        Ok(all.into_iter().map(|(_, shown)| shown).collect())
    }
}

fn pid(target: &Target) -> Option<u32> {
    target.record.as_ref().map(|record| record.pid)
}

fn begin(target: &Target) -> Result<Capture> {
    let (live, node) = target.cluster.as_ref().context("no cluster's")?;
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let mut command = live.way(*node)?.program(me);
    command.args(["cluster", "capture"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("Cannot start a helper on the node")?;
    let (to, from) = (child.stdin.take(), child.stdout.take());
    Ok(Capture {
        child,
        to: to.context("a helper without a pipe")?,
        from: BufReader::new(from.context("a helper without a pipe")?),
    })
}

impl Capture {
    fn ask(&mut self) -> Result<Vec<Arrived>> {
        self.to.write_all(b"\n").context("Cannot ask what arrived")?;
        let mut fds = [PollFd::new(self.from.get_ref().as_fd(), PollFlags::POLLIN)];
        let answers = poll(&mut fds, PollTimeout::from(PATIENCE_MS)).unwrap_or(0);
        ensure!(answers > 0, "A helper on the node does not answer");
        let mut line = String::new();
        self.from.read_line(&mut line).context("Cannot hear what arrived")?;
        serde_json::from_str(&line).context("Cannot understand what arrived")
    }
}
