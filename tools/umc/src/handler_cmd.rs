// SPDX-License-Identifier: GPL-2.0-only
//! `umc handler`.

use std::convert::Infallible;
use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::redirect::CannotRun;
use anyhow::{Context, Result};
use clap::Subcommand;

/// The program that loads handlers: it is another, because handlers find the functions they call in the executable.
const CHECKER: &str = "umc-handler-check";

/// What to do with handlers.
#[derive(Subcommand)]
pub enum HandlerCommand {
    /// Drive a handler through the rules of its ABI; fails when it breaks one. Overwrites the image
    Check {
        /// It keeps nothing over close, as a ram disk
        #[arg(long)]
        volatile: bool,
        /// The handler
        #[arg(value_name = "FILE.so")]
        file: PathBuf,
        /// What follows the subtype in the words for a disk, for example /srv/disk.img
        #[arg(value_name = "CONFIG[,size=N]")]
        config: String,
    },
}

impl HandlerCommand {
    /// Become the program that does it.
    pub fn run(self) -> Result<Infallible> {
        let HandlerCommand::Check { volatile, file, config } = self;
        let me = env::current_exe().context("Cannot find this program")?;
        let checker = me.with_file_name(CHECKER);
        let mut command = Command::new(&checker);
        if volatile {
            command.arg("--volatile");
        }
        let cause = command.arg(file).arg(config).exec();
        Err(CannotRun { program: checker, cause, next: "It is built with umc" }.into())
    }
}
