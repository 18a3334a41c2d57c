// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster down` and `kill`: how a cluster ends, and a node of it.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use umc_protocol::process::{self, Process};

use super::live::Live;
use super::place::Place;
use super::sweep;
use super::talk::{Ask, Talk};

/// How long programs on nodes are given to end by themselves.
const PATIENCE_MS: u16 = 2000;
/// How long one that was killed is waited for.
const DEATH_MS: u16 = 10_000;
/// How long the sweeper is waited for.
const SWEEP_MS: u16 = 60_000;

/// `umc cluster down`: what runs on nodes is ended, and with `keep` the disks stay.
///
/// # Errors
/// Something stays behind, and which.
pub fn down(name: Option<&str>, keep: bool) -> Result<()> {
    let place = Place::meant(name)?;
    if place.record().is_err() {
        return remove_kept(&place, keep);
    }
    let live = Live::at(place)?;
    take_down(&live, keep)?;
    println!(
        "Cluster {} is down{}",
        live.place.name,
        match keep {
            true => format!("; its disks stay: umc cluster up --name {}", live.place.name),
            false => String::new(),
        }
    );
    Ok(())
}

/// What was kept goes, or stays.
fn remove_kept(place: &Place, keep: bool) -> Result<()> {
    if keep {
        bail!("Cluster {} is not up; its disks are kept already", place.name);
    }
    let lock = place.lock()?;
    fs::remove_dir_all(&place.dir)
        .with_context(|| format!("Cannot remove {}", place.dir.display()))?;
    lock.remove();
    println!("The disks of cluster {} are removed", place.name);
    Ok(())
}

/// Takes a cluster down, and waits until nothing of it is left but, with `keep`, its disks.
///
/// # Errors
/// As [`down`].
pub fn take_down(live: &Live, keep: bool) -> Result<()> {
    let name = &live.place.name;
    if keep {
        let all = 0..live.plan.nodes.len();
        end_programs(live);
        live.each(all, |node| stop(live, node))?;
    }
    let sweeper = Sweeper::of(live)?;
    match Talk::to(&live.place)?.ask(&Ask::Down { keep }) {
        // It may be faster gone than heard.
        Err(error) if live.record.keeper.is_alive() => return Err(error),
        _ => {}
    }
    sweeper.await_end(live)?;
    if live.place.dir.exists() && !keep {
        bail!("{} is left of cluster {name}. Remove it", live.place.dir.display());
    }
    Ok(())
}

/// Who clears up behind a cluster. To be asked for while its keeper is there.
pub struct Sweeper {
    process: Option<Process>,
    pid: u32,
}

impl Sweeper {
    /// That of a cluster, which may be another one than at its beginning.
    ///
    /// # Errors
    /// The host's.
    pub fn of(live: &Live) -> Result<Sweeper> {
        let life = live.place.record().map_or(live.record.sweeper, |record| record.sweeper);
        let process = Process::checked(life.pid, || life.is_alive())
            .context("Cannot watch the sweeper of the cluster")?;
        Ok(Sweeper { process, pid: life.pid })
    }

    /// Waits until nothing is left of a cluster whose keeper is gone, or goes.
    ///
    /// # Errors
    /// Something is.
    pub fn await_end(&self, live: &Live) -> Result<()> {
        let is_gone = self.process.as_ref().map_or(Ok(true), |one| one.wait(SWEEP_MS.into()));
        if !is_gone.context("Cannot wait for the sweeper of the cluster")? {
            bail!(
                "Cluster {} does not end: process {} still clears up. What is left is in {}",
                live.place.name,
                self.pid,
                live.place.dir.display()
            );
        }
        Ok(())
    }
}

/// Ends what users have running on nodes: asks first, then kills.
fn end_programs(live: &Live) {
    let spaces = live.record.spaces.iter();
    let paths = spaces.map(|spaces| format!("/proc/{}/fd/{}", live.record.keeper.pid, spaces.mnt));
    let spaces: Vec<PathBuf> = paths.filter_map(|path| fs::read_link(path).ok()).collect();
    let nodes: HashSet<u32> =
        (0..live.plan.nodes.len()).filter_map(|node| live.node(node).map(|of| of.pid)).collect();
    for pid in sweep::inside(&spaces).into_iter().filter(|pid| !nodes.contains(pid)) {
        let what = process::name(pid.cast_signed());
        let is_it = || sweep::inside(&spaces).contains(&pid);
        let Ok(Some(process)) = Process::checked(pid, is_it) else { continue };
        eprintln!("Ending {what} ({pid}), which runs on a node");
        if !process.end(libc::SIGTERM, PATIENCE_MS).unwrap_or(false) {
            let _ = process.end(libc::SIGKILL, DEATH_MS);
        }
    }
}

/// Unmounts what users mounted on a node, and stops it.
fn stop(live: &Live, node: usize) -> Result<()> {
    if live.node(node).is_none() {
        return Ok(());
    }
    let name = live.name(node);
    let at_first = live.place.dir.join(format!("{name}.mounts"));
    let at_first = fs::read_to_string(at_first).unwrap_or_default();
    let points = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect()
    };
    let old: HashSet<String> = points(&at_first).into_iter().collect();
    let root = live.place.node(name).join(umc_protocol::node::ROOT).display().to_string();
    let pid = live.node(node).map_or(0, |of| of.pid);
    let now = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    for point in points(&now).iter().rev().filter(|point| !old.contains(*point)) {
        if *point != root {
            // The last word is the node's: it does not stop while something is in use.
            let _ = live.on(node, &["umount", point]);
        }
    }
    live.umc(node, &["stop", name]).map(drop)
}

/// `umc cluster kill`: the node is gone as after a loss of power.
///
/// # Errors
/// It does not run, or does not end.
pub fn kill(name: Option<&str>, node: &str) -> Result<()> {
    let live = Live::meant(name)?;
    let place = live.plan.place(node)?;
    let cannot = || format!("Cannot kill node {node}");
    let Some(record) = live.node(place) else {
        bail!("Node {node} does not run. Start it: umc cluster start {node}")
    };
    let Some(process) = Process::of_node(&record).with_context(cannot)? else { return Ok(()) };
    if !process.end(libc::SIGKILL, DEATH_MS).with_context(cannot)? {
        bail!("Node {node} was killed and does not end: process {}", record.pid);
    }
    println!("Node {node} is dead. Start it again: umc cluster start {node}");
    Ok(())
}

/// `umc cluster start`: the node comes back, with the disks that it had.
///
/// # Errors
/// It runs already, or does not come up.
pub fn start(name: Option<&str>, node: &str) -> Result<()> {
    let live = Live::meant(name)?;
    let place = live.plan.place(node)?;
    if let Some(record) = live.node(place) {
        bail!("Node {node} runs already (process {})", record.pid);
    }
    super::bring_up::start_node(&live, place)?;
    if live.plan.resources.is_empty() {
        println!("Node {node} is up");
        return Ok(());
    }
    live.adm(place, &["up", "all"])?;
    let links = Talk::to(&live.place)?.ask(&Ask::Links)?;
    if links.iter().any(|((a, b), _)| [*a, *b].contains(&place)) {
        println!("Node {node} is up; links of it are not whole: umc cluster status");
        return Ok(());
    }
    super::bring_up::await_connected(&live, place)?;
    println!("Node {node} is up, and connected. What it still has to resync: umc cluster status");
    Ok(())
}
