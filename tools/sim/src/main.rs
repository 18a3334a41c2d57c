// SPDX-License-Identifier: GPL-2.0-only
//! `umc-sim`: clusters of nodes in a deterministic simulation.
//!
//! [`run`] plays one [`scenario`] with one seed: [`node`]s with [`disk`]s under [`load`]. Each seed has a process of
//! its own ([`sweep`]): kernels are never freed, and a crash of the driver is a result.
#![allow(clippy::disallowed_methods)] // the host's clock is for the figures only

mod disk;
mod drbd;
mod known;
mod load;
mod meta;
mod node;
mod run;
mod scenario;
mod stack;
mod sweep;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use drbd::Release;
use run::Detail;
use scenario::Scenario;
pub use umc_protocol::sim_args::Args;

/// What a driver has freed is overwritten with this: who uses it still, is found by what he does with it.
const FREED: u8 = 0x6b;

/// Runs one seed in this process; true if it went well.
fn run_here(args: &Args) -> Result<bool> {
    // SAFETY: a parameter of the allocator, which has no obligations.
    unsafe { libc::mallopt(libc::M_PERTURB, FREED.into()) };
    let scenario = Scenario::read(&args.file)?;
    let name = args.module.as_deref().unwrap_or(&scenario.driver);
    let module = cdrivers::modules::find(name)?;
    let mut modules = cdrivers::modules::load_order(&module)
        .with_context(|| format!("Cannot load module {name}"))?;
    if let Some(stack) = scenario.disk.stack {
        let below = cdrivers::modules::find(stack.driver())?;
        modules.splice(0..0, cdrivers::modules::load_order(&below)?);
    }
    let info = cdrivers::symbols::modinfo(&module)
        .with_context(|| format!("Cannot read module {name}"))?;
    let version = info.iter().find(|(key, _)| key == "version").map_or("", |(_, value)| value);
    let release = Release::of(version);
    if release == Release::V84 && scenario.wants_9() {
        bail!("The scenario takes DRBD 9, and module {name} is version {version}");
    }
    let detail = match args.verbose {
        0 => Detail::Events,
        1 => Detail::KernelLog,
        _ => Detail::Everything,
    };
    let start = std::time::Instant::now();
    let (outcome, log) = run::run(&scenario, args.seed, modules, release, detail);
    let report = sweep::Report::new(&outcome, start.elapsed(), log);
    println!("{}{}", sweep::RESULT, serde_json::to_string(&report)?);
    Ok(outcome.is_ok())
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.seeds {
        _ if args.in_process => run_here(&args),
        Some(seeds) => sweep::sweep(&args, seeds.clone()),
        None => sweep::single(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("umc-sim: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
