// SPDX-License-Identifier: GPL-2.0-only
//! A cluster in full: what its file says, and the defaults for what it does not say. It is kept beside the disks, so a
//! cluster comes up again as it was.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use umc_protocol::{node, size};

use super::driver;
use super::file::{self, File, Nodes};
use super::quality::Quality;

/// So many nodes DRBD 9 knows at most.
const NODES_MAX: usize = 32;
const VOLUMES_MAX: usize = 32;
const DISK: &str = "64M";
/// Metadata of a few peers, and a little data.
const DISK_MIN: u64 = 4 << 20;

/// All that is to be known of a cluster before it is up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// What they replicate.
    pub resources: Vec<Resource>,
    /// Volumes of each resource.
    pub volumes: usize,
    /// Sections of `drbd.conf`.
    pub drbd: Drbd,
    /// Links that are not whole once all are in sync.
    pub links: Vec<Link>,
    /// Whether all of it is DRBD 9.
    pub is_nine: bool,
    /// Modules that nodes load beside their driver.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Directories of the host in whose place each node has one of its own.
    #[serde(default)]
    pub private: Vec<PathBuf>,
}

/// A node of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The module it loads, or the set.
    pub driver: String,
    /// What the driver calls its version.
    pub version: String,
    /// Its disks are like this; nothing for none.
    pub disk: Option<Disk>,
}

/// What a node's disks are like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Its handler.
    pub handler: String,
    /// What the handler is told: `{image}` stands for the path of the image.
    pub config: String,
    /// In bytes.
    pub size: u64,
    /// Tables of device-mapper that stand above it.
    pub table: Option<String>,
}

/// A resource, and the nodes that have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its nodes, as places in [`Plan::nodes`].
    pub nodes: Vec<usize>,
    /// Minor number of its first volume.
    pub minor: usize,
}

/// What stands in `drbd.conf` as its author wrote it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drbd {
    /// `A`, `B` or `C`.
    pub protocol: String,
    /// Of these sections.
    pub options: String,
    /// Of `net`.
    pub net: String,
    /// Of `disk`.
    pub disk: String,
    /// Of `handlers`.
    pub handlers: String,
    /// More sections of each resource.
    pub more: String,
}

/// A link between two nodes, the lower place first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its nodes, as places in [`Plan::nodes`].
    pub between: (usize, usize),
    /// How good it is.
    pub quality: Quality,
}

impl Resource {
    /// The lower disk of a volume.
    pub fn lower(&self, volume: usize) -> String {
        if volume == 0 { self.name.clone() } else { format!("{}-{volume}", self.name) }
    }

    /// Minor number of a volume.
    pub fn minor(&self, volume: usize) -> usize {
        self.minor + volume
    }
}

impl Plan {
    /// The plan of a file.
    ///
    /// # Errors
    /// Something in it is not possible; or the driver is not there, and cannot be built.
    pub fn of(file: File) -> Result<Plan> {
        let names = names(&file.nodes)?;
        for name in file.node.keys().chain(file.link.iter().flat_map(|link| &link.between)) {
            ensure!(
                names.contains(name),
                "The cluster has no node {name}: its nodes are {}",
                names.join(", ")
            );
        }
        let by_default = file.driver.clone().unwrap_or_else(driver::by_default);
        let nodes: Vec<Node> =
            names.iter().map(|name| plan_node(&file, name, &by_default)).collect::<Result<_>>()?;
        let is_nine = nodes.iter().all(|node| driver::is_nine(&node.version));
        let volumes = file.volumes.unwrap_or(1);
        ensure!(
            (1..=VOLUMES_MAX).contains(&volumes),
            "A resource has 1 to {VOLUMES_MAX} volumes, not {volumes}"
        );
        if let Some(node) = nodes.iter().find(|node| node.disk.is_none() && !is_nine) {
            bail!(
                "Node {} cannot be diskless: DRBD 8.4 has no such nodes. \
                 Give all nodes a driver of DRBD 9 (docs/drivers.md)",
                node.name
            );
        }
        if nodes.iter().all(|node| node.disk.is_none()) {
            bail!("All nodes are diskless. One at least keeps the data");
        }
        let find = |name: &String| names.iter().position(|known| known == name).unwrap_or_default();
        let link = |link: &file::Link| -> Result<Link> {
            let (a, b) = (find(&link.between[0]), find(&link.between[1]));
            ensure!(a != b, "A link is between two nodes, not {0} and {0}", link.between[0]);
            let [delay, rate, loss] =
                [&link.delay, &link.rate, &link.loss].map(|word| word.as_deref());
            let quality = Quality::of(delay, rate, loss, link.cut)?;
            Ok(Link { between: (a.min(b), a.max(b)), quality })
        };
        if let Some(dir) = file.private.iter().find(|dir| !dir.is_absolute() || !dir.is_dir()) {
            bail!(
                "private: {} is no directory of this host, by its whole path. Make it, or leave it out",
                dir.display()
            );
        }
        Ok(Plan {
            resources: match file.replicate {
                Some(false) => Vec::new(),
                _ => resources(nodes.len(), volumes, is_nine),
            },
            modules: file.modules,
            private: file.private,
            links: file.link.iter().map(link).collect::<Result<_>>()?,
            drbd: Drbd {
                protocol: protocol(file.drbd.protocol.as_deref())?,
                options: file.drbd.options,
                net: file.drbd.net,
                disk: file.drbd.disk,
                handlers: file.drbd.handlers,
                more: file.drbd.more,
            },
            nodes,
            volumes,
            is_nine,
        })
    }

    /// The place of the node of this name.
    ///
    /// # Errors
    /// There is none; the text names those there are.
    pub fn place(&self, name: &str) -> Result<usize> {
        self.nodes.iter().position(|node| node.name == name).with_context(|| {
            let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            format!("The cluster has no node {name}: its nodes are {}", names.join(", "))
        })
    }

    /// The resources of a node.
    pub fn resources_of(&self, node: usize) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(move |resource| resource.nodes.contains(&node))
    }

    /// The names of a node's lower disks.
    pub fn lowers_of(&self, node: usize) -> Vec<String> {
        if self.resources.is_empty() {
            return (0..self.volumes).map(|volume| format!("disk{volume}")).collect();
        }
        let volumes = |of: &Resource| (0..self.volumes).map(|v| of.lower(v)).collect::<Vec<_>>();
        self.resources_of(node).flat_map(volumes).collect()
    }

    /// In a few words: `3 nodes, DRBD 9.3.3, a mesh`.
    pub fn shape(&self) -> String {
        let versions: BTreeSet<_> = self.nodes.iter().map(|node| node.version.as_str()).collect();
        let versions: Vec<_> = versions.into_iter().collect();
        let how = match (self.nodes.len(), self.is_nine) {
            _ if self.resources.is_empty() => "without resources",
            (2, _) => "a pair",
            (_, true) => "a mesh",
            (_, false) => "a ring of pairs, since DRBD 8.4 connects two nodes",
        };
        format!("{} nodes, DRBD {}, {how}", self.nodes.len(), versions.join(" and "))
    }
}

fn names(nodes: &Nodes) -> Result<Vec<String>> {
    let names: Vec<String> = match nodes {
        Nodes::Count(count) => (1..=(*count).min(NODES_MAX + 1)).map(|n| format!("n{n}")).collect(),
        Nodes::Names(names) => names.clone(),
    };
    ensure!(
        (2..=NODES_MAX).contains(&names.len()),
        "A cluster has 2 to {NODES_MAX} nodes: umc cluster up 3. For a single node: umc start NODE"
    );
    for name in &names {
        node::check_name(name).map_err(|text| anyhow!(text))?;
        ensure!(
            names.iter().filter(|other| *other == name).count() == 1,
            "Two nodes are called {name}"
        );
    }
    Ok(names)
}

fn plan_node(file: &File, name: &str, driver: &str) -> Result<Node> {
    let own = file.node.get(name).cloned().unwrap_or_default();
    let driver = own.driver.clone().unwrap_or_else(|| driver.to_owned());
    let version = driver::version(&driver)?;
    let disk = match own.diskless {
        true => None,
        false => Some(plan_disk(&file.disk, &own.disk).with_context(|| format!("Node {name}"))?),
    };
    Ok(Node { name: name.to_owned(), driver, version, disk })
}

fn plan_disk(all: &file::Disk, own: &file::Disk) -> Result<Disk> {
    let either = |own: &Option<String>, all: &Option<String>| own.clone().or_else(|| all.clone());
    let handler = either(&own.handler, &all.handler).unwrap_or_else(|| "file".into());
    let text = either(&own.size, &all.size).unwrap_or_else(|| DISK.into());
    let size = size::parse(&text).map_err(|text| anyhow!(text))?;
    ensure!(size >= DISK_MIN, "A disk of {text} is too small: {} at least", size::format(DISK_MIN));
    let config = either(&own.config, &all.config).unwrap_or_else(|| match handler.as_str() {
        "ram" => String::new(),
        _ => "{image}".into(),
    });
    Ok(Disk { handler, config, size, table: either(&own.table, &all.table) })
}

fn protocol(text: Option<&str>) -> Result<String> {
    let text = text.unwrap_or("C");
    ensure!(["A", "B", "C"].contains(&text), "There is no protocol {text}: write A, B or C");
    Ok(text.into())
}

/// A mesh of all; pairs in a ring where a resource connects two nodes only.
fn resources(nodes: usize, volumes: usize, is_nine: bool) -> Vec<Resource> {
    if is_nine || nodes == 2 {
        return vec![Resource { name: "r0".into(), nodes: (0..nodes).collect(), minor: 0 }];
    }
    let pair = |at: usize| Resource {
        name: format!("r{at}"),
        nodes: vec![at, (at + 1) % nodes],
        minor: at * volumes,
    };
    (0..nodes).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_8_4_more_than_two_nodes_are_a_ring() {
        let ring = resources(3, 2, false);
        let nodes: Vec<_> = ring.iter().map(|resource| resource.nodes.clone()).collect();
        assert_eq!(nodes, [vec![0, 1], vec![1, 2], vec![2, 0]]);
        assert_eq!(ring[2].minor(1), 5);
        assert_eq!(ring[1].lower(0), "r1");
        assert_eq!(ring[1].lower(1), "r1-1");
        assert_eq!(resources(2, 1, false).len(), 1);
        assert_eq!(resources(4, 1, true)[0].nodes, [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_not_possible_is_said() {
        let wrong = |text: &str| {
            let file: File = toml::from_str(text).unwrap();
            names(&file.nodes)
                .map(|_| ())
                .and_then(|()| plan_disk(&file.disk, &file::Disk::default()).map(|_| ()))
                .and_then(|()| protocol(file.drbd.protocol.as_deref()).map(|_| ()))
                .unwrap_err()
                .to_string()
        };
        for (text, part) in [
            ("nodes = 1", "2 to 32"),
            ("nodes = 1000000000", "2 to 32"),
            ("nodes = ['a', 'a']", "Two nodes are called a"),
            ("nodes = ['a', '-b']", "-b"),
            ("disk.size = '1M'", "at least"),
            ("disk.size = 'big'", "not a size"),
            ("drbd.protocol = 'D'", "A, B or C"),
        ] {
            let error = wrong(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
