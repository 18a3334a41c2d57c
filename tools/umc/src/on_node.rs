// SPDX-License-Identifier: GPL-2.0-only
//! How a command line names its node: `NODE` where nothing else stands alone, and `-n NODE` everywhere.

use clap::Args;

use crate::complete;

/// The node of a command whose other arguments leave no place for its name.
#[derive(Args)]
pub struct OnNode {
    /// Name of the node
    #[arg(short, long = "node", value_name = "NODE", global = true, add = complete::node())]
    pub node: Option<String>,
}

/// The node of a command that takes its name alone.
#[derive(Args)]
pub struct AnyNode {
    /// Name of the node
    #[arg(value_name = "NODE", conflicts_with = "by_option", add = complete::node_or_command())]
    name: Option<String>,
    /// The same
    #[arg(short = 'n', long = "node", id = "by_option", value_name = "NODE", add = complete::node())]
    by_option: Option<String>,
}

impl AnyNode {
    /// Its name, if one was given.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().or(self.by_option.as_deref())
    }
}

/// As [`AnyNode`], where there has to be a name.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct NamedNode {
    /// Name of the node
    #[arg(value_name = "NODE", add = complete::node())]
    name: Option<String>,
    /// The same
    #[arg(short = 'n', long = "node", id = "by_option", value_name = "NODE", add = complete::node())]
    by_option: Option<String>,
}

impl NamedNode {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_deref().or(self.by_option.as_deref()).unwrap_or_default()
    }
}
