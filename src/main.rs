// SPDX-License-Identifier: GPL-2.0-only
//! `umcd`: one emulated kernel, one node, in the foreground.
//!
//! [`life`] brings the parts of a [`node`] up and takes them down in order; [`control`] is the node's socket, whose
//! [`client`]s have two services, [`genl`] and [`requests`]; [`takedown`] ends what drivers still have up, and
//! [`orphans`] what a life before left; [`pressure`] is about a host without memory.

mod args;
mod client;
mod control;
mod genl;
mod life;
mod node;
mod orphans;
mod pressure;
mod requests;
mod takedown;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("UMC_LOG")
                .unwrap_or_else(|_| "info".into()),
        )
        .init();
    if let Err(error) = pressure::prepare() {
        tracing::info!(
            "not prepared for a lack of memory ({error}): a file system on this node's devices may stand still then. \
             That takes CAP_SYS_RESOURCE"
        );
    }
    match life::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("umcd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
