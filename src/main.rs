// SPDX-License-Identifier: GPL-2.0-only
//! `umcd`: one emulated kernel, one node, in the foreground.
//!
//! [`life`] brings the parts of a [`node`] up and takes them down in order; [`control`] is the node's socket, whose
//! [`client`]s have three services, [`genl`], [`tunnel`] and [`requests`]; [`udev`] names its devices, [`takedown`] ends what drivers
//! still have up, and [`orphans`] what a life before left; [`pressure`] is about a host without memory. What all of them
//! have to say goes to the [`log`].

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

mod client;
mod command;
mod control;
mod genl;
mod life;
mod log;
mod node;
mod orphans;
mod pressure;
mod requests;
mod stop;
mod takedown;
mod tunnel;
mod udev;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use umc_protocol::umcd_args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    let log = log::Log::new();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(args.log.is_none() && std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("UMC_LOG")
                .unwrap_or_else(|_| "info".into()),
        )
        .init();
    match life::run(args, &log, pressure::prepare()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.fail(&format!("umcd: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
