// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster link`: cables that are pulled, and worse.

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};

use super::live::Live;
use super::quality::{self, Quality};
use super::talk::{Ask, Talk};
use crate::complete;

/// What to do with links. Each is the same both ways, and says nothing about other links.
#[derive(Subcommand)]
pub enum LinkCommand {
    /// Nothing passes
    Cut(Ends),
    /// What passes is late, and not much of it: 20ms and 10M unless told otherwise
    Slow {
        #[command(flatten)]
        ends: Ends,
        /// How much later each frame arrives
        #[arg(long, value_name = "TIME", value_parser = quality::parse_delay)]
        delay: Option<std::time::Duration>,
        /// Bits a second
        #[arg(long, value_name = "RATE", value_parser = quality::parse_rate)]
        rate: Option<u64>,
    },
    /// Frames get lost, each with the same chance: 5% unless told otherwise
    Lossy {
        #[command(flatten)]
        ends: Ends,
        /// How many of 100
        #[arg(long, value_name = "PERCENT", value_parser = quality::parse_loss)]
        loss: Option<f64>,
    },
    /// All passes again
    Heal {
        #[command(flatten)]
        ends: SomeEnds,
    },
}

/// The ends of a link.
#[derive(Args)]
pub struct Ends {
    /// A node
    #[arg(value_name = "A", add = complete::cluster_node())]
    a: String,
    /// The other one; without it, all others
    #[arg(value_name = "B", add = complete::cluster_node())]
    b: Option<String>,
}

/// The same, or all links.
#[derive(Args)]
pub struct SomeEnds {
    /// A node; without it, all links
    #[arg(value_name = "A", add = complete::cluster_node())]
    a: Option<String>,
    /// The other one; without it, all others
    #[arg(value_name = "B", add = complete::cluster_node())]
    b: Option<String>,
}

impl LinkCommand {
    /// Does it.
    ///
    /// # Errors
    /// There is no such node, or the host cannot.
    pub fn run(&self, name: Option<&str>) -> Result<()> {
        let live = Live::meant(name)?;
        let talk = Talk::to(&live.place)?;
        let links = match self {
            LinkCommand::Cut(ends)
            | LinkCommand::Slow { ends, .. }
            | LinkCommand::Lossy { ends, .. } => links(&live, Some(&ends.a), ends.b.as_deref())?,
            LinkCommand::Heal { ends } => links(&live, ends.a.as_deref(), ends.b.as_deref())?,
        };
        let now = talk.ask(&Ask::Links)?;
        for between in links {
            let was = now.iter().find(|(link, _)| *link == between).map(|(_, quality)| *quality);
            talk.ask(&Ask::Link { between, quality: self.quality(was.unwrap_or_default()) })?;
        }
        print!("{}", shown(&live, &talk.ask(&Ask::Links)?));
        Ok(())
    }

    /// What becomes of a link that was like this. A slow one may be lossy too.
    fn quality(&self, was: Quality) -> Quality {
        match self {
            LinkCommand::Cut(_) => Quality { cut: true, ..Quality::default() },
            LinkCommand::Heal { .. } => Quality::default(),
            LinkCommand::Slow { delay, rate, .. } => {
                let (delay, rate) = match (delay, rate) {
                    (None, None) => (quality::SLOW_DELAY, Some(quality::SLOW_RATE)),
                    (delay, rate) => (delay.unwrap_or_default(), *rate),
                };
                Quality { cut: false, delay_us: delay.as_micros() as u64, rate, ..was }
            }
            LinkCommand::Lossy { loss, .. } => {
                Quality { cut: false, loss_percent: loss.unwrap_or(quality::LOSS), ..was }
            }
        }
    }
}

/// The links that are meant, the lower node first.
fn links(live: &Live, a: Option<&str>, b: Option<&str>) -> Result<Vec<(usize, usize)>> {
    let a = a.map(|name| live.plan.place(name)).transpose()?;
    let b = b.map(|name| live.plan.place(name)).transpose()?;
    ensure!(a.is_none() || a != b, "A link is between two nodes: name another one");
    let count = live.plan.nodes.len();
    let all = (0..count).flat_map(|one| (one + 1..count).map(move |other| (one, other)));
    let has = |link: &(usize, usize), node: Option<usize>| {
        node.is_none_or(|node| link.0 == node || link.1 == node)
    };
    Ok(all.filter(|link| has(link, a) && has(link, b)).collect())
}

/// Links that are not whole, one a line.
pub fn shown(live: &Live, links: &[((usize, usize), Quality)]) -> String {
    match links {
        [] => "All links are whole\n".into(),
        links => {
            let line = |((a, b), quality): &((usize, usize), Quality)| {
                format!("{} -- {}: {quality}\n", live.name(*a), live.name(*b))
            };
            links.iter().map(line).collect()
        }
    }
}
