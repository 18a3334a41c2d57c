// SPDX-License-Identifier: GPL-2.0-only
//! The verbs of commands, and what only a look at the whole file can tell.

use serde::Deserialize;
use toml::Spanned;

use super::{DRBD_84, NodeName, RandomSpec, Scenario};
use crate::node::NAMES;

/// What the administrator may do; all but `resize` are commands of `drbdadm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    Connect,
    Disconnect,
    Attach,
    Detach,
    Primary,
    Secondary,
    Up,
    Down,
    Verify,
    Invalidate,
    PauseSync,
    ResumeSync,
    /// The disks of all nodes become larger, and then the volume.
    Resize,
}

impl Verb {
    /// As it is written in a scenario.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Connect => "connect",
            Verb::Disconnect => "disconnect",
            Verb::Attach => "attach",
            Verb::Detach => "detach",
            Verb::Primary => "primary",
            Verb::Secondary => "secondary",
            Verb::Up => "up",
            Verb::Down => "down",
            Verb::Verify => "verify",
            Verb::Invalidate => "invalidate",
            Verb::PauseSync => "pause-sync",
            Verb::ResumeSync => "resume-sync",
            Verb::Resize => "resize",
        }
    }

    /// The command that puts things back.
    pub fn opposite(self) -> Option<Verb> {
        Some(match self {
            Verb::Connect => Verb::Disconnect,
            Verb::Disconnect => Verb::Connect,
            Verb::Attach => Verb::Detach,
            Verb::Detach => Verb::Attach,
            Verb::Primary => Verb::Secondary,
            Verb::Secondary => Verb::Primary,
            Verb::Up => Verb::Down,
            Verb::Down => Verb::Up,
            Verb::PauseSync => Verb::ResumeSync,
            Verb::ResumeSync => Verb::PauseSync,
            Verb::Verify | Verb::Invalidate | Verb::Resize => return None,
        })
    }

    /// Whether it is about the resource, with all its volumes.
    pub fn is_for_all(self) -> bool {
        matches!(
            self,
            Verb::Connect
                | Verb::Disconnect
                | Verb::Primary
                | Verb::Secondary
                | Verb::Up
                | Verb::Down
        )
    }

    /// Whether it disturbs a cluster in which nothing else happened, and so makes sense at random.
    fn disturbs(self) -> bool {
        !matches!(
            self,
            Verb::Connect
                | Verb::Attach
                | Verb::Primary
                | Verb::Up
                | Verb::ResumeSync
                | Verb::Resize
        )
    }
}

/// The line of the file that something begins in.
fn line_of<T>(text: &str, part: &Spanned<T>) -> usize {
    1 + text[..part.span().start].matches('\n').count()
}

/// The line of a key that stands at the beginning of one, or behind a table's name.
fn line_of_key(text: &str, key: &str) -> usize {
    let is_it =
        |line: &str| line.trim_start().starts_with(key) || line.contains(&format!(".{key}"));
    1 + text.lines().position(is_it).unwrap_or_default()
}

/// A mistake of a command, if there is one.
fn mistake(run: Verb, volume: Option<u32>, volumes: u64) -> Option<String> {
    let name = run.name();
    match volume {
        Some(_) if run.is_for_all() => {
            Some(format!("{name} is for the whole resource. Remove volume."))
        }
        Some(volume) if u64::from(volume) >= volumes => Some(format!(
            "the resource has no volume {volume}, they count from 0. Change it, or volumes (which is {volumes})."
        )),
        _ => None,
    }
}

impl Scenario {
    /// What is to happen after the end would not.
    fn check_time(&self, at_ms: u64, line: usize) -> Result<(), String> {
        if at_ms < self.duration_ms {
            return Ok(());
        }
        Err(format!(
            "line {line}: {at_ms} ms is after the end. Change at_ms, or duration_ms (which is {}).",
            self.duration_ms
        ))
    }

    /// What does not go with two Primaries, whose data rightly differ as soon as they lose each other.
    fn mistake_of_two_primaries(&self) -> Option<String> {
        let is_calm = self.faults.is_empty() && self.commands.is_empty() && self.random.is_none();
        match self.net.protocol {
            'C' if is_calm => None,
            'C' => {
                Some("there are no faults and no commands with two Primaries. Remove them.".into())
            }
            other => Some(format!("two Primaries need protocol C, and it is {other}. Change it.")),
        }
    }

    /// A mistake of the cluster as a whole: the key, and what is wrong.
    fn mistake_of_cluster(&self) -> Option<(&'static str, String)> {
        let two_primaries = self.net.allow_two_primaries;
        if let Some(why) = self.mistake_of_two_primaries().filter(|_| two_primaries) {
            return Some(("allow_two_primaries", why));
        }
        if self.driver == DRBD_84 && self.wants_9() {
            let instead = "Set driver to a build of DRBD 9, such as \"drbd-9.3\".";
            return Some(match self.nodes {
                2 if self.diskless.is_empty() => ("quorum", format!("it takes DRBD 9. {instead}")),
                2 => ("diskless", format!("it takes DRBD 9. {instead}")),
                _ => ("nodes", format!("DRBD 8.4 takes two nodes. {instead}")),
            });
        }
        if self.disk.stack.is_some() && self.runs(Verb::Resize) {
            return Some((
                "stack",
                "resize grows a disk, and nothing on top of it. Remove one of them.".into(),
            ));
        }
        if self.diskless.contains(&NodeName(0)) {
            return Some(("diskless", "node a needs a disk, it begins as the Primary.".into()));
        }
        let nodes = self.nodes as usize;
        let beyond = self.diskless.iter().find(|node| node.0 >= nodes)?;
        Some(("diskless", self.no_node(beyond.0)))
    }

    /// Whether the administrator does so, at any time.
    fn runs(&self, verb: Verb) -> bool {
        let random = self.random.iter().flat_map(|random| &random.get_ref().commands);
        let fixed = self.commands.iter().map(|command| command.get_ref().run);
        fixed.chain(random.map(|command| command.get_ref().run)).any(|run| run == verb)
    }

    fn no_node(&self, place: usize) -> String {
        format!("there is no node {}. Change it, or nodes (which is {}).", NAMES[place], self.nodes)
    }

    /// That the nodes are there, in what begins in a line.
    fn check_nodes(
        &self,
        line: usize,
        mut places: impl Iterator<Item = usize>,
    ) -> Result<(), String> {
        match places.find(|place| *place as u64 >= self.nodes) {
            Some(place) => Err(format!("line {line}: {}", self.no_node(place))),
            None => Ok(()),
        }
    }

    /// What the types do not say. The cause of a mistake names its line.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        if let Some((key, why)) = self.mistake_of_cluster() {
            return Err(format!("line {}: {why}", line_of_key(text, key)));
        }
        if let Some(liar) = &self.plant.flush_lies {
            let (line, liar) = (line_of(text, liar), *liar.get_ref());
            self.check_nodes(line, [liar.0].into_iter())?;
            if self.diskless.contains(&liar) {
                return Err(format!("line {line}: this node has no disk."));
            }
        }
        for spanned in &self.faults {
            let line = line_of(text, spanned);
            self.check_time(spanned.get_ref().at_ms, line)?;
            self.check_nodes(line, spanned.get_ref().kind.last().into_iter())?;
        }
        for spanned in &self.commands {
            let at = format!("line {}", line_of(text, spanned));
            let command = spanned.get_ref();
            let name = command.run.name();
            self.check_time(command.at_ms, line_of(text, spanned))?;
            self.check_nodes(line_of(text, spanned), [command.node.0].into_iter())?;
            if let Some(why) = mistake(command.run, command.volume, self.volumes) {
                return Err(format!("{at}: {why}"));
            }
            if command.for_ms.is_some() && command.run.opposite().is_none() {
                return Err(format!("{at}: {name} has no opposite. Remove for_ms."));
            }
            if command.mib.is_some() && command.run != Verb::Resize {
                return Err(format!("{at}: mib is only for resize. Remove it."));
            }
        }
        match &self.random {
            Some(random) => self.check_random(text, random),
            None => Ok(()),
        }
    }

    fn check_random(&self, text: &str, spanned: &Spanned<RandomSpec>) -> Result<(), String> {
        let (random, line) = (spanned.get_ref(), line_of(text, spanned));
        if random.kinds.is_empty() && random.commands.is_empty() {
            return Err(format!(
                "line {line}: kinds and commands are both empty. Fill one of them."
            ));
        }
        self.check_nodes(line, random.kinds.iter().filter_map(super::FaultKind::last))?;
        for spanned in &random.commands {
            let at = format!("line {}", line_of(text, spanned));
            let command = spanned.get_ref();
            self.check_nodes(line_of(text, spanned), [command.node.0].into_iter())?;
            if let Some(why) = mistake(command.run, command.volume, self.volumes) {
                return Err(format!("{at}: {why}"));
            }
            if !command.run.disturbs() {
                let name = command.run.name();
                let instead = command.run.opposite().map_or(String::new(), |opposite| {
                    format!(" Use {}, which {name} follows.", opposite.name())
                });
                return Err(format!("{at}: {name} does not come at random.{instead}"));
            }
        }
        Ok(())
    }
}
