// SPDX-License-Identifier: GPL-2.0-only
//! The nodes that are looked at: those of clusters, and those that stand alone.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use umc_protocol::node::NodeRecord;

use crate::cluster::{self, Live, Place};
use crate::{complete, nodes, redirect};

/// Which nodes: all, unless some are named.
#[derive(Args, Clone, Default)]
pub struct Chosen {
    /// Only the nodes of this cluster
    #[arg(long, value_name = "NAME", add = complete::cluster())]
    pub name: Option<String>,
    /// Only this node
    #[arg(short = 'n', long = "node", value_name = "NODE", add = complete::node())]
    pub node: Vec<String>,
}

/// A node, be it alive or not.
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its cluster, and its place there.
    pub cluster: Option<(Arc<Live>, usize)>,
    /// Its record, if it runs.
    pub record: Option<NodeRecord>,
}

impl Chosen {
    /// The nodes, those of clusters first.
    ///
    /// # Errors
    /// The cluster that is named is not up.
    pub fn targets(&self) -> Result<Vec<Target>> {
        let mut all = Vec::new();
        let named = self.name.clone().or_else(|| std::env::var("UMC_CLUSTER").ok());
        let places = match named.filter(|name| !name.is_empty()) {
            Some(name) => vec![Place::meant(Some(&name))?],
            None => cluster::all()?,
        };
        for place in places {
            let live = match Live::at(place) {
                Ok(live) => Arc::new(live),
                Err(error) if self.name.is_some() => return Err(error),
                // Kept, or just going.
                Err(_) => continue,
            };
            all.extend((0..live.plan.nodes.len()).map(|node| Target {
                name: live.name(node).to_owned(),
                record: live.node(node),
                cluster: Some((live.clone(), node)),
            }));
        }
        if self.name.is_none() {
            // On a node of a cluster, the nodes here are those of the cluster.
            let of_clusters: Vec<u32> = all.iter().filter_map(Target::pid).collect();
            let alone = nodes::all()?.nodes.into_iter();
            let alone = alone.filter(|record| !of_clusters.contains(&record.pid));
            let alone = alone.map(|record| Target {
                name: record.name.clone(),
                cluster: None,
                record: record.is_alive().then_some(record),
            });
            all.extend(alone);
        }
        all.retain(|target| self.node.is_empty() || self.node.contains(&target.name));
        Ok(all)
    }
}

impl Target {
    /// Its process, if it runs.
    fn pid(&self) -> Option<u32> {
        self.record.as_ref().map(|record| record.pid)
    }

    /// A file of the node's tree, as this process reaches it: a cluster's is mounted for its node alone.
    pub fn file(&self, below: &str) -> Option<PathBuf> {
        let record = self.record.as_ref()?;
        let root = record.root.strip_prefix("/").unwrap_or(&record.root);
        Some(PathBuf::from(format!("/proc/{}/root", record.pid)).join(root).join(below))
    }

    /// A stock program on the node.
    ///
    /// # Errors
    /// It does not run, or cannot be entered.
    pub fn stock(&self, words: &[&str]) -> Result<Command> {
        if let Some((live, node)) = &self.cluster {
            return live.way(*node)?.stock(words);
        }
        let record = self.record.as_ref().with_context(|| format!("Node {} is dead", self.name))?;
        redirect::command_on(record, words)
    }
}
