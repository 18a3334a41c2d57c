// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster`: nodes with networks, disks and a configuration, in one command.
//!
//! A [file] becomes a [plan]; [up] has a [keeper] make [spaces] and a [network] for it, and [mod@bring_up] starts nodes there and
//! has DRBD replicate between them. Commands find the cluster by its [place], go into its nodes as a [live] one, and [talk] to its
//! keeper. When that is gone, the [sweep]er leaves nothing behind.

mod bring_up;
mod capture;
mod conf;
mod dissect;
mod down;
mod driver;
mod file;
mod keeper;
mod link;
mod live;
mod logs;
mod network;
mod packet;
mod place;
mod plan;
mod progress;
mod quality;
mod run;
mod spaces;
mod ssh;
mod ssh_master;
mod ssh_shim;
mod status;
mod sweep;
mod talk;
mod up;
mod wire;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::complete;
pub use capture::Arrived;
pub use conf::address;
pub use live::{Live, check, run as run_to_end, run_within};
pub use place::{Place, all};
pub use run::Failed;
pub use status::peer_name;

/// A link that is not whole.
pub struct Link {
    /// Its nodes.
    pub a: String,
    /// The other one.
    pub b: String,
    /// What it is like.
    pub quality: quality::Quality,
}

/// Links of a cluster that are not whole.
///
/// # Errors
/// Its keeper does not answer.
pub fn links(live: &Live) -> Result<Vec<Link>> {
    let links = talk::Talk::to(&live.place)?.ask(&talk::Ask::Links)?;
    let name = |node: usize| live.name(node).to_owned();
    Ok(links
        .into_iter()
        .map(|((a, b), quality)| Link { a: name(a), b: name(b), quality })
        .collect())
}

/// The driver of the node of a cluster that this process runs on; nothing for one that runs elsewhere.
pub fn driver_here() -> Option<String> {
    let root = std::env::var_os(umc_protocol::node::FS_ROOT)?;
    let dir = std::path::Path::new(&root).parent()?;
    let plan = Place::at(dir.parent()?.parent()?).ok()?.plan().ok()?;
    let name = dir.file_name()?.to_str()?;
    plan.nodes.into_iter().find(|node| node.name == name).map(|node| node.driver)
}

/// `umc cluster`.
#[derive(Args)]
pub struct Cluster {
    /// Name of the cluster [default: that of UMC_CLUSTER, or the only one]
    #[arg(long, value_name = "NAME", global = true, add = complete::cluster())]
    name: Option<String>,
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Subcommand)]
enum ClusterCommand {
    /// Bring a cluster up: nodes, networks, disks, drbd.conf, metadata, connected and in sync
    ///
    /// Without FILE or N it has three nodes, or is the one that down --keep left. Of DRBD 8.4 more than two nodes are a ring of
    /// pairs. As root, or as any user where the host lets users make namespaces.
    Up {
        /// A TOML file (umc cluster example), or a number of nodes
        #[arg(value_name = "FILE|N", add = complete::file())]
        what: Option<String>,
        /// The module that nodes load, or the set [default: the newest DRBD 9 that was built, else 8.4]
        #[arg(long, value_name = "NAME", add = complete::module())]
        driver: Option<String>,
    },
    /// A shell on a node
    Shell {
        /// The node
        #[arg(add = complete::cluster_node())]
        node: String,
    },
    /// Run a command on a node: umc cluster exec n1 -- drbdadm status
    #[command(override_usage = "umc cluster exec NODE -- CMD [ARG]...")]
    Exec {
        /// The node
        #[arg(add = complete::cluster_node())]
        node: String,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD", add = complete::command())]
        command: Vec<OsString>,
    },
    /// The whole cluster in one table
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Cut, slow, spoil or heal what is between two nodes
    Link {
        #[command(subcommand)]
        command: link::LinkCommand,
    },
    /// Kill a node, as a loss of power would
    Kill {
        /// The node
        #[arg(add = complete::cluster_node())]
        node: String,
    },
    /// Start a node that was killed, with the disks it had, and what it replicates
    Start {
        /// The node
        #[arg(add = complete::cluster_node())]
        node: String,
    },
    /// Take the cluster down, and remove it
    Down {
        /// Stop it cleanly; its disks and its configuration stay for the next up
        #[arg(long)]
        keep: bool,
    },
    /// Bring a cluster up, run a command, take it down; of a command that fails the logs of all nodes stay
    ///
    /// The command is run on the host with UMC_CLUSTER set, so umc cluster exec and the others mean this cluster. umc ends with
    /// its exit status.
    #[command(override_usage = "umc cluster run FILE|N -- CMD [ARG]...")]
    Run {
        /// A TOML file (umc cluster example), or a number of nodes
        #[arg(value_name = "FILE|N", add = complete::file())]
        what: String,
        /// Where logs go if it fails [default: umc-NAME-logs]
        #[arg(long, value_name = "DIR")]
        logs: Option<PathBuf>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD", add = complete::command())]
        command: Vec<OsString>,
    },
    /// Write ssh, scp and sftp that reach nodes into a directory, to be the first in PATH of tools that reach machines so
    SshShim {
        /// The directory, which is made if it is missing
        dir: PathBuf,
    },
    /// What that ssh is
    #[command(hide = true)]
    Ssh {
        /// As of OpenSSH's ssh
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// List the clusters on this host
    Ls,
    /// Print a file with every setting, to begin with: umc cluster example > my.toml
    Example,
    /// The process that a cluster stands on
    #[command(hide = true)]
    Keep { dir: PathBuf },
    /// Whether this host can have clusters: what it can make, for umc doctor
    #[command(hide = true)]
    Probe,
    /// The process that clears up behind it
    #[command(hide = true)]
    Sweep { dir: PathBuf },
    /// What arrives at the node that this runs on, for umc web
    #[command(hide = true)]
    Capture,
}

impl Cluster {
    /// Does it.
    ///
    /// # Errors
    /// It fails; the text says what to do.
    pub fn run(self) -> Result<()> {
        let name = self.name.as_deref();
        match self.command {
            ClusterCommand::Up { what, driver } => up::up(what.as_deref(), name, driver),
            ClusterCommand::Shell { node } => {
                let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
                exec(name, &node, &[shell])
            }
            ClusterCommand::Exec { node, command } => exec(name, &node, &command),
            ClusterCommand::Status { json } => status::status(name, json),
            ClusterCommand::Link { command } => command.run(name),
            ClusterCommand::Kill { node } => down::kill(name, &node),
            ClusterCommand::Start { node } => down::start(name, &node),
            ClusterCommand::Down { keep } => down::down(name, keep),
            ClusterCommand::Run { what, logs, command } => {
                run::run(&what, name, logs.as_deref(), &command)
            }
            ClusterCommand::SshShim { dir } => ssh_shim::write(name, &dir),
            ClusterCommand::Ssh { arguments } => ssh::run(name, &arguments),
            ClusterCommand::Ls => status::list(),
            ClusterCommand::Example => {
                print!("{}", file::EXAMPLE);
                Ok(())
            }
            ClusterCommand::Probe => keeper::probe(),
            ClusterCommand::Keep { dir } => keeper::run(&dir),
            ClusterCommand::Sweep { dir } => sweep::run(&dir),
            ClusterCommand::Capture => capture::run(),
        }
    }
}

fn exec(name: Option<&str>, node: &str, command: &[OsString]) -> Result<()> {
    let live = Live::meant(name)?;
    let place = live.plan.place(node)?;
    if live.node(place).is_none() {
        anyhow::bail!("Node {node} does not run. Start it: umc cluster start {node}");
    }
    match live.way(place)?.become_command(command)? {}
}
