// SPDX-License-Identifier: GPL-2.0-only
//! The file that describes a cluster: TOML, in which everything has a default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A cluster as its author wrote it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Name of the cluster, unless the command line has one.
    pub name: Option<String>,
    /// How many nodes, or their names.
    pub nodes: Nodes,
    /// Module or set of modules that nodes load.
    pub driver: Option<String>,
    /// Volumes of each resource.
    pub volumes: Option<usize>,
    /// What every disk is like.
    pub disk: Disk,
    /// What stands in the sections of `drbd.conf`.
    pub drbd: Drbd,
    /// What is different on one node, by its name.
    pub node: BTreeMap<String, Node>,
    /// Links that are not whole once all are in sync.
    pub link: Vec<Link>,
    /// Whether nodes replicate: else they have disks and the driver, and nothing is configured.
    pub replicate: Option<bool>,
    /// Modules that nodes load beside their driver.
    pub modules: Vec<String>,
    /// Directories of the host in whose place each node has an empty one of its own.
    pub private: Vec<PathBuf>,
}

/// `nodes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a number of nodes, or a list of their names")]
pub enum Nodes {
    /// So many, named n1, n2 …
    Count(usize),
    /// These.
    Names(Vec<String>),
}

impl Default for Nodes {
    fn default() -> Nodes {
        Nodes::Count(3)
    }
}

/// `disk`, of the cluster or of one node, which takes over what it does not say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// `file`, `ram` or another handler.
    pub handler: Option<String>,
    /// What the handler is told behind the path of the image: `{image}` stands for that path.
    pub config: Option<String>,
    /// Size, as in `64M`.
    pub size: Option<String>,
    /// Tables of device-mapper, one a line, that stand between driver and disk: `{disk}` is the disk below, `{sectors}` its size.
    pub table: Option<String>,
}

/// What is written into the sections of `drbd.conf` as it stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drbd {
    /// `A`, `B` or `C`.
    pub protocol: Option<String>,
    /// Of the section `options`.
    pub options: String,
    /// Of the section `net`.
    pub net: String,
    /// Of the section `disk`.
    pub disk: String,
    /// Of the section `handlers`.
    pub handlers: String,
    /// More sections of each resource.
    pub more: String,
}

/// `node.NAME`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Another driver than the others'.
    pub driver: Option<String>,
    /// Other disks than the others'.
    pub disk: Disk,
    /// Without a disk: DRBD 9.
    pub diskless: bool,
}

/// `[[link]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Its two nodes.
    pub between: [String; 2],
    /// As `10M`, in bits a second.
    pub rate: Option<String>,
    /// As `20ms`, in each direction.
    pub delay: Option<String>,
    /// As `1%`.
    pub loss: Option<String>,
    /// Nothing passes.
    #[serde(default)]
    pub cut: bool,
}

impl File {
    /// Reads one.
    ///
    /// # Errors
    /// It cannot be read, or is no such TOML; the place is named.
    pub fn read(path: &Path) -> Result<File> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => bail!(
                "Cannot read the cluster's file {shown}: {error}. \
                 Name a TOML file, or a number of nodes: umc cluster up 3"
            ),
        };
        toml::from_str(&text)
            .with_context(|| format!("Cannot use {shown}. What it may hold: umc cluster example"))
    }

    /// From a number of nodes or the path of a file.
    ///
    /// # Errors
    /// As [`File::read`].
    pub fn of(what: Option<&str>) -> Result<File> {
        match what {
            None => Ok(File::default()),
            Some(text) => match text.parse() {
                Ok(count) => Ok(File { nodes: Nodes::Count(count), ..File::default() }),
                Err(_) => File::read(Path::new(text)),
            },
        }
    }
}

/// What `umc cluster example` prints: every key, with its default.
pub const EXAMPLE: &str = r#"# A cluster for umc cluster up FILE. Everything here is the default, or is commented out.
# name = "default"            # of the cluster; --name goes before it
nodes = 3                     # or their names: ["alpha", "beta", "gamma"]
# driver = "drbd"             # a module, or a set that umc build --as made; by default the newest DRBD 9 there is, else 8.4
volumes = 1                   # /dev/drbd0 …
# replicate = false           # no drbd.conf and no resource: nodes with the driver, and disks /dev/disk0 …, for tests that do the rest
modules = []                  # that nodes load too: for example ["dm-mod"], for LVM
private = []                  # for example ["/tmp"]: directories of which each node has an empty one of its own

[disk]
handler = "file"              # or ram, or any handler of umc disk; file stands on an image in the cluster's directory
size = "64M"
# config = "{image};direct=off"
# table = "0 {sectors} delay {disk} 0 20"    # device-mapper between driver and disk: delays, faults (umc build dm-mod)

[drbd]                        # written into these sections of drbd.conf as it stands
protocol = "C"
options = ""
net = ""                      # for example "ping-int 1; verify-alg crc32c;"
disk = ""
handlers = ""
more = ""                     # more sections of each resource

# [node.n3]                   # what is different on one node
# driver = "drbd-9.2"
# diskless = true
# disk = { handler = "ram", size = "64M" }

# [[link]]                    # links that are not whole once all are in sync; umc cluster link changes them
# between = ["n1", "n2"]
# delay = "20ms"              # each way
# rate = "10M"                # bits a second
# loss = "1%"
# cut = true
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_default() {
        let file: File = toml::from_str(EXAMPLE).unwrap();
        assert!(matches!(file.nodes, Nodes::Count(3)));
        let plain = |line: &str| line.trim_start_matches("# ").to_owned();
        let all: Vec<String> = EXAMPLE.lines().skip(1).map(plain).collect();
        let file: File = toml::from_str(&all.join("\n")).unwrap();
        assert_eq!(file.link[0].between, ["n1", "n2"]);
        assert!(file.node["n3"].diskless && file.link[0].cut);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let error = toml::from_str::<File>("nodes = 3\nvolume = 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("volumes"), "{error}");
        let error = File::of(Some("no-such-file")).unwrap_err().to_string();
        assert!(error.contains("no-such-file") && error.contains("umc cluster up 3"), "{error}");
        assert!(matches!(File::of(Some("5")).unwrap().nodes, Nodes::Count(5)));
    }
}
