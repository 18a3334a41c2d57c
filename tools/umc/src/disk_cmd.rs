// SPDX-License-Identifier: GPL-2.0-only
//! `umc disk`.

use anyhow::{Result, anyhow, bail};
use clap::Subcommand;
use umc_protocol::control::{Disk, Request};
use umc_protocol::disk::DiskSpec;
use umc_protocol::size;

use crate::client::Client;
use crate::nodes;

/// What to do with the disks below the drivers.
#[derive(Subcommand)]
pub enum DiskCommand {
    /// Add a disk, which appears as /dev/NAME
    Add {
        /// Name in /dev
        name: String,
        /// What is behind it: ram/,size=1G or file//srv/r0.img
        #[arg(value_name = "HANDLER/CONFIG[,size=N]")]
        spec: String,
    },
    /// Make a disk larger, also while it is in use
    Resize {
        /// Name in /dev
        #[arg(add = crate::complete::disk())]
        name: String,
        /// New size; without it, the size that the image has now
        #[arg(value_parser = size::parse)]
        size: Option<u64>,
    },
    /// Delete a disk that nobody uses
    Del {
        /// Name in /dev
        #[arg(add = crate::complete::disk())]
        name: String,
    },
    /// List every block device of the node
    Ls {
        /// Name of the node
        #[arg(value_name = "NODE", add = crate::complete::node())]
        name: Option<String>,
    },
}

impl DiskCommand {
    /// The node's name, which `ls` takes in both ways.
    pub fn node<'a>(&'a self, by_option: Option<&'a str>) -> Result<Option<&'a str>> {
        match (self, by_option) {
            (DiskCommand::Ls { name: Some(name) }, Some(other)) if name != other => {
                bail!("Which node, {name} or {other}? Name one.")
            }
            (DiskCommand::Ls { name: Some(name) }, _) => Ok(Some(name)),
            _ => Ok(by_option),
        }
    }

    /// Do it on the node.
    pub fn run(self, node: Option<&str>) -> Result<()> {
        let client = Client::connect(&nodes::pick(self.node(node)?)?)?;
        match self {
            DiskCommand::Add { name, spec } => {
                let DiskSpec { name, spec, size } =
                    DiskSpec::new(&name, &spec).map_err(|text| anyhow!(text))?;
                client.request::<Disk>(&Request::DiskAdd { name, spec, size }).map(drop)
            }
            DiskCommand::Resize { name, size } => {
                let disk = client.request::<Disk>(&Request::DiskResize { name, size })?;
                println!("{}: {}", disk.name, size::format(disk.size));
                Ok(())
            }
            DiskCommand::Del { name } => client.request(&Request::DiskDel { name }),
            DiskCommand::Ls { .. } => {
                list(&client.request::<Vec<Disk>>(&Request::DiskLs {})?);
                Ok(())
            }
        }
    }
}

fn list(disks: &[Disk]) {
    let row = |cells: [&str; 6]| {
        let [name, numbers, size, access, openers, behind] = cells;
        println!("{name:<12} {numbers:>8} {size:>10} {access:<6} {openers:>5}  {behind}");
    };
    row(["NAME", "MAJ:MIN", "SIZE", "ACCESS", "OPENS", "BEHIND IT"]);
    for disk in disks {
        let held = (!disk.holder.is_empty()).then(|| format!("held by {}", disk.holder));
        let used = (!disk.users.is_empty()).then(|| format!("used by {}", disk.users.join(", ")));
        let by: Vec<String> = held.into_iter().chain(used).collect();
        let behind = match by.as_slice() {
            [] => disk.backing.clone(),
            by => format!("{} ({})", disk.backing, by.join("; ")),
        };
        row([
            &disk.name,
            &format!("{}:{}", disk.major, disk.minor),
            &size::format(disk.size),
            if disk.read_only { "ro" } else { "rw" },
            &disk.openers.to_string(),
            &behind,
        ]);
    }
}
