// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster run`: a cluster for the time of one command, as a CI job wants it.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, Signal, signal};

use super::down::take_down;
use super::file::File;
use super::place::{CLUSTER, Place, RUN_OF};
use super::plan::Plan;
use super::spaces::path_with_umc;
use super::up::Up;
use crate::redirect::CannotRun;

/// How a command ended that did not succeed: its exit status is that of `umc`.
#[derive(Debug)]
pub struct Failed {
    command: String,
    status: ExitStatus,
    logs: String,
}

impl Failed {
    /// As a shell has it.
    pub fn code(&self) -> u8 {
        let of_signal = self.status.signal().map(|signal| 128 + signal);
        self.status.code().or(of_signal).unwrap_or(1) as u8
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended with {}. {}", self.command, self.status, self.logs)
    }
}

impl std::error::Error for Failed {}

/// `umc cluster run FILE|N -- CMD`.
///
/// # Errors
/// The cluster does not come up or go down; or the command failed, and that is a [`Failed`].
pub fn run(
    what: &str,
    name: Option<&str>,
    logs: Option<&Path>,
    command: &[OsString],
) -> Result<()> {
    let file = File::of(Some(what))?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => {
            format!("{}-{}", file.name.as_deref().unwrap_or("run"), std::process::id())
        }
    };
    let up = Up::new(Some(Plan::of(file)?), &name)?;
    let status = run_command(&up.live.place, command);
    let failed = match status {
        Ok(status) if status.success() => None,
        Ok(status) => {
            let folder = logs.map_or_else(|| format!("umc-{name}-logs").into(), PathBuf::from);
            let logs = match super::logs::save(&up.live, &folder) {
                Ok(()) => format!("Logs of the nodes are in {}", folder.display()),
                Err(error) => format!("{error:#}"),
            };
            let command = command[0].to_string_lossy().into_owned();
            Some(Failed { command, status, logs }.into())
        }
        Err(error) => Some(error),
    };
    let down = take_down(&up.live, false);
    match failed {
        Some(error) => Err(error),
        None => down,
    }
}

fn run_command(place: &Place, words: &[OsString]) -> Result<ExitStatus> {
    let (program, arguments) = words.split_first().context("There is no command to run.")?;
    // Ctrl-C is the command's. What it makes of that decides; the cluster goes down in any case.
    ends_at_interrupts(false)?;
    let mut command = Command::new(program);
    command.args(arguments).env(CLUSTER, &place.name).env(RUN_OF, &place.dir);
    command.env("PATH", path_with_umc());
    let begin = || {
        ends_at_interrupts(true)?;
        set_pdeathsig(Signal::SIGKILL).map_err(Into::into)
    };
    // SAFETY: between fork and exec only sigaction(2) and prctl(2) are called.
    unsafe { command.pre_exec(begin) };
    let cannot = |cause| CannotRun { program: program.into(), cause, next: "" };
    Ok(command.status().map_err(cannot)?)
}

/// Whether this process ends when its terminal's user types Ctrl-C. Async-signal-safe.
fn ends_at_interrupts(ends: bool) -> std::io::Result<()> {
    let handler = if ends { SigHandler::SigDfl } else { SigHandler::SigIgn };
    for each in [Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: neither is a handler of ours.
        unsafe { signal(each, handler) }?;
    }
    Ok(())
}
