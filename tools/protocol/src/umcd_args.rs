// SPDX-License-Identifier: GPL-2.0-only
//! The command line of `umcd`.

use std::path::PathBuf;

use clap::Parser;

use crate::disk::DiskSpec;

/// One emulated kernel that runs unmodified Linux block drivers: a node.
///
/// Runs in the foreground and logs to standard error; when that cannot be written it goes on, and umc dmesg says what is
/// missing. SIGINT or SIGTERM takes down what the drivers have up and ends it
/// with exit status 0; while a device is open it says so and goes on. Exit status 1: it could not start or end. 70: BUG,
/// panic or a failed assertion. 71: a fatal signal. Both are reported with backtrace and the last lines of the log. 72:
/// reset or switched off from inside, by /proc/sysrq-trigger or reboot. With UMC_DEBUG_CHECKS in the environment the
/// kernel log has what only a kernel built for debugging reports: calls in atomic context of what might sleep.
#[derive(Debug, Parser)]
#[command(name = "umcd", version)]
pub struct Args {
    /// Directory where the node's /dev, /proc and /sys appear (an empty directory; FUSE is mounted on it)
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,

    /// Name of the node: its host name towards the tools that control it
    #[arg(long, value_name = "NODE", default_value_t = host_name())]
    pub name: String,

    /// Directory for what the tools keep between starts (/var/lib/drbd and the like) [default: below the runtime directory]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Write the log into this file instead; it goes on anew at 4 MiB, and the one before is FILE.1
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Load a module, and what it depends on, at start
    #[arg(long = "modprobe", value_name = "NAME[,PARAM=VALUE…]")]
    pub modules: Vec<ModuleSpec>,

    /// Add a disk: ram, file, or any handler found in the handler directories
    #[arg(long = "disk", value_name = "NAME=HANDLER/CONFIG[,size=N]")]
    pub disks: Vec<DiskSpec>,

    /// Where else to look for handler_*.so files, before the directory of Debian's tcmu-runner
    #[arg(long = "handler-dir", value_name = "DIR", value_parser = directory)]
    pub handler_dirs: Vec<PathBuf>,

    /// Report a task that sleeps uninterruptibly for longer in the kernel log, with its stack; 0 = never
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub hung_task_timeout: u64,
}

fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "umc".into())
}

fn directory(text: &str) -> Result<PathBuf, String> {
    match std::fs::metadata(text) {
        Ok(found) if found.is_dir() => Ok(text.into()),
        Ok(_) => Err("it is not a directory".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// `NAME[,param=value…]`.
#[derive(Debug, Clone)]
pub struct ModuleSpec {
    /// The module.
    pub name: String,
    /// Its parameters, `NAME=VALUE`.
    pub params: Vec<String>,
}

impl std::str::FromStr for ModuleSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<ModuleSpec, String> {
        let mut parts = text.split(',').map(str::to_owned);
        let name =
            parts.next().filter(|name| !name.is_empty()).ok_or("the module's name is missing")?;
        Ok(ModuleSpec { name, params: parts.collect() })
    }
}
