// SPDX-License-Identifier: GPL-2.0-only
//! `umc`: nodes, their modules and disks, and programs that see them.
//!
//! [`start`], [`ls`], [`redirect`], [`module_cmd`] and [`disk_cmd`] talk to nodes through [`client`];
//! [`cluster`] makes several of them. [`build_cmd`], [`manual`],
//! [`complete`] and [`doctor`] need none. Called by the name of one of kmod's programs, of one that ends a machine
//! ([`power_cmd`]), of [`journal`]ctl, or of one that speaks to managers of a machine ([`manager_cmd`]), `umc` acts as that.

mod build_cmd;
mod client;
mod cluster;
mod complete;
mod disk_cmd;
mod doctor;
mod drbd_state;
mod handler_cmd;
mod http;
mod journal;
mod ls;
mod manager_cmd;
mod manual;
mod metrics;
mod module_cmd;
mod netns;
mod nodes;
mod nvmet_cmd;
mod on_node;
mod power_cmd;
mod redirect;
mod start;
mod top;
mod web;
mod welcome;

use std::env;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use nix::sys::signal::{SigHandler, Signal, signal};
use on_node::{AnyNode, OnNode};
use redirect::CannotRun;

/// Run unmodified Linux kernel block drivers in ordinary processes.
///
/// A node is one emulated kernel in one process. Where a command takes a node and none is named, the
/// node of UMC_FS_ROOT is meant, else the only one that runs.
#[derive(Parser)]
#[command(name = "umc", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Start a node in the background; returns when it answers
    Start(start::Start),
    /// Stop a node cleanly; says what is still in use if it cannot
    Stop(on_node::NamedNode),
    /// List the nodes on this host
    Ls,
    /// Run a command that sees the node: umc run alpha -- drbdadm status
    #[command(override_usage = "umc run [NODE] -- CMD [ARG]...")]
    Run {
        #[command(flatten)]
        on: AnyNode,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "CMD", add = complete::command())]
        command: Vec<OsString>,
    },
    /// Print the same as shell exports: eval "$(umc env alpha)"
    ///
    /// In a shell without them drbdadm finds no DRBD, and ends with "BAD LUCK, equal hashes" or with words of modinfo.
    Env(AnyNode),
    /// Print the node's kernel log
    Dmesg {
        #[command(flatten)]
        on: AnyNode,
        /// Go on with new records
        #[arg(short, long)]
        follow: bool,
    },
    /// Load a module into a node: a name with what it depends on, or one file
    Insmod {
        #[command(flatten)]
        on: OnNode,
        /// Name of a module that umc build made, or the path of its file
        #[arg(value_name = "NAME|PATH", add = complete::module())]
        module: String,
        /// Module parameters
        #[arg(value_name = "PARAM=VALUE")]
        params: Vec<String>,
    },
    /// Unload a module from a node
    Rmmod {
        #[command(flatten)]
        on: OnNode,
        /// Name of the module
        #[arg(add = complete::module())]
        module: String,
    },
    /// List the modules of a node
    Lsmod(AnyNode),
    /// Disks below the drivers of a node
    Disk {
        #[command(flatten)]
        on: OnNode,
        #[command(subcommand)]
        command: disk_cmd::DiskCommand,
    },
    /// Handlers, which keep disks
    Handler {
        #[command(subcommand)]
        command: handler_cmd::HandlerCommand,
    },
    /// The NVMe target of a node, in the form of nvmetcli
    Nvmet {
        #[command(flatten)]
        on: OnNode,
        #[command(subcommand)]
        command: nvmet_cmd::NvmetCommand,
    },
    /// Several nodes with networks, disks and a configuration: umc cluster up
    Cluster(cluster::Cluster),
    /// A live picture of nodes: states, resyncs, disks, latencies; --once and --json for scripts
    Top(top::Top),
    /// Serve what nodes count to Prometheus, under the names of drbd-reactor
    Metrics(metrics::MetricsCommand),
    /// Show clusters as a graph in the browser, with the last packets of a link and the log of a node
    Web(web::WebCommand),
    /// Look at this machine, and say of each thing that would fail how to mend it
    Doctor,
    /// Play a scenario in the deterministic simulator: umc sim FILE --seed N; umc sim --help
    #[command(disable_help_flag = true)]
    Sim {
        /// What umc-sim takes
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
        arguments: Vec<OsString>,
    },
    /// Build a driver of the catalogue, or a Kbuild directory, to NAME.ko and NAME.so
    Build {
        /// Name in the catalogue, or a directory with a Kbuild file
        #[arg(value_name = "NAME|DIR", add = complete::driver())]
        what: String,
        /// Name under which the modules of the directory are found, beside others of the same names: that of its main
        /// module and a version, as drbd-9.3
        #[arg(long = "as", value_name = "SET")]
        set: Option<String>,
        /// Show what Kbuild says
        #[arg(short, long)]
        verbose: bool,
    },
    /// Print the directory for make KDIR=…
    Kdir,
    /// Show where a module came from and what it says of itself
    Modinfo {
        /// Name of a module that umc build made, or the path of its file
        #[arg(value_name = "NAME|FILE", add = complete::module())]
        module: String,
    },
    /// List each symbol a module needs and who provides it
    Symbols {
        /// Name of a module that umc build made, or the path of its .ko
        #[arg(value_name = "NAME|FILE", add = complete::module())]
        module: String,
    },
    /// Write the manual pages into a directory
    Man {
        /// The directory, which is made if it is missing
        dir: PathBuf,
    },
    /// Print what makes a shell complete umc's commands: source <(umc completion bash)
    Completion {
        /// The shell
        shell: complete::Shell,
    },
}

impl Command {
    fn run(self) -> Result<()> {
        match self {
            Command::Start(start) => start.run(),
            Command::Stop(node) => start::stop(node.name()),
            Command::Ls => ls::ls(),
            Command::Run { on, command } => {
                match redirect::run(&nodes::pick(on.name())?, &command)? {}
            }
            Command::Env(on) => {
                let text = redirect::exports(&nodes::pick(on.name())?)?;
                std::io::stdout()
                    .write_all(text.as_encoded_bytes())
                    .context("Cannot write the exports")
            }
            Command::Dmesg { on, follow } => ls::dmesg(on.name(), follow),
            Command::Insmod { on, module, params } => {
                module_cmd::insmod(on.node.as_deref(), &module, &params)
            }
            Command::Rmmod { on, module } => module_cmd::rmmod(on.node.as_deref(), &module),
            Command::Lsmod(on) => module_cmd::lsmod(on.name()),
            Command::Disk { on, command } => command.run(on.node.as_deref()),
            Command::Nvmet { on, command } => command.run(&on),
            Command::Top(top) => top.run(),
            Command::Metrics(metrics) => metrics.run(),
            Command::Web(web) => web.run(),
            Command::Doctor => doctor::run(),
            Command::Cluster(cluster) => cluster.run(),
            Command::Sim { arguments } => sim(&arguments),
            Command::Build { what, set, verbose } => {
                build_cmd::build(&what, set.as_deref(), verbose)
            }
            Command::Kdir => build_cmd::print_kdir(),
            Command::Handler { command } => match command.run()? {},
            Command::Modinfo { module } => build_cmd::modinfo(&module),
            Command::Symbols { module } => build_cmd::print_symbols(&module),
            Command::Man { dir } => manual::write(&dir),
            Command::Completion { shell } => complete::print_script(shell),
        }
    }
}

/// Becomes `umc-sim`.
fn sim(arguments: &[OsString]) -> Result<()> {
    let program = redirect::beside("umc-sim")?;
    let cause = std::process::Command::new(&program).args(arguments).exec();
    Err(CannotRun { program, cause, next: "" }.into())
}

fn main() -> ExitCode {
    // A reader that has had enough (umc ls | head) ends this program as it ends others.
    // SAFETY: the default action is no handler of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    complete::complete();
    let mut arguments = env::args_os();
    let called = arguments.next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rest: Vec<_> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let applet = module_cmd::applet(&name, &rest)
        .or_else(|| power_cmd::applet(&name, &rest))
        .or_else(|| journal::applet(&name, &rest))
        .or_else(|| manager_cmd::applet(&name, &rest));
    let result = match applet {
        Some(result) => result,
        None => match Cli::parse().command {
            Some(command) => command.run(),
            None => {
                welcome::print();
                Ok(())
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(answered) = error.downcast_ref::<manager_cmd::Answered>() {
                return ExitCode::from(answered.0);
            }
            eprintln!("umc: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// A shell's numbers for a program that cannot be run, 1 for everything else.
fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(failed) = error.downcast_ref::<cluster::Failed>() {
        return failed.code();
    }
    match error.downcast_ref::<CannotRun>() {
        Some(cannot) if cannot.cause.kind() == ErrorKind::NotFound => 127,
        Some(_) => 126,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_everything_after_the_dashes() {
        let parse =
            |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command.unwrap());
        match parse("umc run alpha -- ls -l --color").unwrap() {
            Command::Run { on, command } => {
                assert_eq!(on.name(), Some("alpha"));
                assert_eq!(command, ["ls", "-l", "--color"]);
            }
            _ => panic!("another command"),
        }
        let of_any = parse("umc run -- ls").unwrap();
        assert!(matches!(of_any, Command::Run { on, .. } if on.name().is_none()));
        assert!(parse("umc run alpha").is_err());
    }

    /// The node that a command line names.
    fn node_of(line: &str) -> Option<String> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{line}: {e}"));
        let name = match cli.command.as_ref().unwrap() {
            Command::Start(start) => Some(start.node()),
            Command::Stop(node) => Some(node.name()),
            Command::Env(on) | Command::Lsmod(on) => on.name(),
            Command::Run { on, .. } | Command::Dmesg { on, .. } => on.name(),
            Command::Insmod { on, .. } | Command::Rmmod { on, .. } => on.node.as_deref(),
            Command::Disk { on, command } => command.node(on.node.as_deref()).unwrap(),
            _ => panic!("{line}: takes no node"),
        };
        name.map(str::to_owned)
    }

    #[test]
    fn a_node_is_named_in_one_way_everywhere() {
        for line in [
            "umc start NODE --disk d=ram/,size=1M",
            "umc stop NODE",
            "umc run NODE -- ls -n other",
            "umc env NODE",
            "umc dmesg -f NODE",
            "umc lsmod NODE",
            "umc insmod NODE drbd minor_count=8",
            "umc rmmod NODE drbd",
            "umc disk NODE ls",
            "umc disk ls NODE",
            "umc disk add NODE d ram/,size=1M",
            "umc disk resize NODE d 2M",
            "umc disk del NODE d",
        ] {
            for option in ["-n alpha", "--node alpha"] {
                let line = line.replace("NODE", option);
                assert_eq!(node_of(&line).as_deref(), Some("alpha"), "{line}");
            }
        }
        for command in ["start", "stop", "env", "dmesg", "lsmod", "disk ls"] {
            let line = format!("umc {command} alpha");
            assert_eq!(node_of(&line).as_deref(), Some("alpha"), "{line}");
        }
        // None is the only one that runs, or that of UMC_FS_ROOT; but not for these.
        assert_eq!(node_of("umc lsmod"), None);
        assert!(Cli::try_parse_from(["umc", "stop"]).is_err());
        assert!(Cli::try_parse_from(["umc", "start"]).is_err());
        assert!(Cli::try_parse_from(["umc", "stop", "alpha", "-n", "beta"]).is_err());
        assert!(Cli::try_parse_from(["umc", "lsmod", "alpha", "-n", "beta"]).is_err());
    }
}
