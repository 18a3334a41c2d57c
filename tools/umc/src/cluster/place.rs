// SPDX-License-Identifier: GPL-2.0-only
//! Where a cluster is on the host, and which cluster a command means.
//!
//! `BASE/.clusters/NAME/` holds `plan.json`, `drbd.conf`, `hosts`, `disks/`, `run/` (the runtime directory of its nodes), `private/`
//! (directories that each node has for itself), `tools/`, `log` and `keeper` (what the keeper says, and its socket), and `cluster.json` while it is up; `BASE/.clusters/NAME.lock` is locked
//! by whoever works on it, and by its keeper. No node's name begins with a point, so none is in the way.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use umc_protocol::node;

use super::plan::Plan;

const CLUSTERS: &str = ".clusters";
const RECORD: &str = "cluster.json";
const PLAN: &str = "plan.json";
const KEPT: &str = "kept";
/// Variable that names the cluster which is meant.
pub const CLUSTER: &str = "UMC_CLUSTER";
/// Variable in the environment of the command of `umc cluster run`, and of what that starts: the cluster's directory.
pub const RUN_OF: &str = "UMC_CLUSTER_RUN_OF";
/// The name of a cluster that was given none.
const DEFAULT: &str = "default";

/// A cluster's directory, be there a cluster or not.
#[derive(Clone, Debug)]
pub struct Place {
    /// Name of the cluster.
    pub name: String,
    /// Its directory.
    pub dir: PathBuf,
}

/// `cluster.json`: what others have to know of a cluster that is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The keeper, which has the namespaces.
    pub keeper: Life,
    /// Clears up behind the keeper.
    pub sweeper: Life,
    /// The keeper's descriptor of the user namespace, where there is one.
    pub user: Option<i32>,
    /// Its descriptors of each node's namespaces.
    pub spaces: Vec<Spaces>,
}

/// A process for good: by its number and the time of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

/// Descriptors of the keeper.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spaces {
    /// Of mounts.
    pub mnt: i32,
    /// Of networks.
    pub net: i32,
    /// Of host names.
    pub uts: i32,
}

impl Life {
    /// That of a process that runs.
    pub fn of(pid: u32) -> Result<Life> {
        let start_time = node::process_start_time(pid);
        Ok(Life { pid, start_time: start_time.with_context(|| format!("process {pid} is gone"))? })
    }

    /// Whether it still runs.
    pub fn is_alive(self) -> bool {
        node::process_start_time(self.pid) == Some(self.start_time)
    }
}

impl Place {
    /// The place of a cluster.
    ///
    /// # Errors
    /// It cannot be called so, or there is no directory for clusters.
    pub fn new(name: &str) -> Result<Place> {
        node::check_name(name).map_err(|text| anyhow!(text.replace("a node", "a cluster")))?;
        Ok(Place { name: name.to_owned(), dir: clusters()?.join(name) })
    }

    /// That of a directory, as the keeper is told it.
    pub fn at(dir: &Path) -> Result<Place> {
        let name = dir.file_name().and_then(|name| name.to_str()).context("no cluster's place")?;
        Ok(Place { name: name.to_owned(), dir: dir.to_owned() })
    }

    /// The cluster that a command means: the named one, that of UMC_CLUSTER, or the only one.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn meant(name: Option<&str>) -> Result<Place> {
        let of_variable = std::env::var(CLUSTER).ok().filter(|name| !name.is_empty());
        if let Some(name) = name.map(str::to_owned).or(of_variable) {
            let place = Place::new(&name)?;
            if !place.dir.is_dir() {
                let others = all()?;
                let what = match others.as_slice() {
                    [] => "Make one: umc cluster up".to_owned(),
                    _ => format!("There are: {}", names(&others)),
                };
                bail!("There is no cluster {name}. {what}");
            }
            return Ok(place);
        }
        let mut found = all()?;
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => bail!("There is no cluster. Make one: umc cluster up"),
            _ => {
                let mut up = found.iter().filter(|place| place.record().is_ok());
                match (up.next(), up.next()) {
                    (Some(only), None) => Ok(only.clone()),
                    _ => bail!(
                        "Which cluster? There are: {}. Name one (--name), or set {CLUSTER}",
                        names(&found)
                    ),
                }
            }
        }
    }

    /// The name for a new cluster: the command line's, the file's, that of UMC_CLUSTER, `default`.
    pub fn name_for_new(given: Option<&str>, of_file: Option<&str>) -> String {
        let of_variable = std::env::var(CLUSTER).ok().filter(|name| !name.is_empty());
        let name = given.or(of_file).map(str::to_owned).or(of_variable);
        name.unwrap_or_else(|| DEFAULT.into())
    }

    /// The directory of a node's images.
    pub fn disks(&self) -> PathBuf {
        self.dir.join("disks")
    }

    /// The runtime directory of its nodes.
    pub fn run(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// The directory of a node.
    pub fn node(&self, name: &str) -> PathBuf {
        self.run().join(name)
    }

    /// The configuration.
    pub fn conf(&self) -> PathBuf {
        self.dir.join("drbd.conf")
    }

    /// A directory of a node's own, the one at this place of the plan's.
    pub fn private(&self, node: &str, at: usize) -> PathBuf {
        self.dir.join("private").join(node).join(at.to_string())
    }

    /// Programs that nodes find at the end of their PATH: what `umc` does in the place of programs that the host may lack.
    pub fn tools(&self) -> PathBuf {
        self.dir.join("tools")
    }

    /// What a node has as `/etc/hosts`.
    pub fn hosts(&self) -> PathBuf {
        self.dir.join("hosts")
    }

    /// Where the keeper listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("keeper")
    }

    /// What the keeper has to say.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The record while it is up.
    pub fn record_file(&self) -> PathBuf {
        self.dir.join(RECORD)
    }

    /// The plan that is kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn plan(&self) -> Result<Plan> {
        let path = self.dir.join(PLAN);
        let text = fs::read(&path).with_context(|| {
            format!("Cluster {} has no plan: read {}", self.name, path.display())
        })?;
        serde_json::from_slice(&text)
            .with_context(|| format!("Cannot understand {}", path.display()))
    }

    /// Whether its disks were kept once, and so are to stay until it is taken down for good.
    pub fn is_kept(&self) -> bool {
        self.dir.join(KEPT).exists() && self.dir.join(PLAN).exists()
    }

    /// From now on they are.
    ///
    /// # Errors
    /// The host's.
    pub fn mark_kept(&self) -> io::Result<()> {
        fs::write(self.dir.join(KEPT), "")
    }

    /// Writes the plan down.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_plan(&self, plan: &Plan) -> Result<()> {
        let path = self.dir.join(PLAN);
        let text = serde_json::to_vec_pretty(plan).context("the plan as JSON")?;
        fs::write(&path, text).with_context(|| format!("Cannot write {}", path.display()))
    }

    /// The record, if the keeper still runs.
    ///
    /// # Errors
    /// The cluster is not up.
    pub fn record(&self) -> Result<Record> {
        let text = fs::read(self.record_file());
        let record: Option<Record> = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
        record.filter(|record| record.keeper.is_alive()).with_context(|| {
            format!("Cluster {} is not up. Bring it up: umc cluster up --name {0}", self.name)
        })
    }

    /// Takes the cluster for this process and those that inherit the descriptor.
    ///
    /// # Errors
    /// Somebody else has it.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.dir.with_file_name(format!("{}.lock", self.name));
        let cannot = || format!("Cannot lock cluster {}: {}", self.name, path.display());
        let base = self.dir.parent().unwrap_or(&self.dir);
        loop {
            fs::create_dir_all(base).with_context(|| format!("Cannot make {}", base.display()))?;
            node::check_dir(base).map_err(|text| anyhow!(text.replace("a node", "clusters")))?;
            let file = match File::options().create(true).truncate(false).write(true).open(&path) {
                // The last cluster went, and its directory with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.with_context(cannot)?,
            };
            // SAFETY: only numbers are passed; the descriptor is open.
            let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
            match Errno::result(locked) {
                Ok(_) => {}
                Err(Errno::EWOULDBLOCK) => bail!(
                    "Cluster {0} is up already, or just coming or going. See umc cluster status --name {0}; \
                     take it down: umc cluster down --name {0}",
                    self.name
                ),
                Err(error) => return Err(error).with_context(cannot),
            }
            // Who had it before may have removed the file meanwhile.
            let inode = |status: io::Result<fs::Metadata>| status.map(|status| status.ino()).ok();
            if inode(file.metadata()) == inode(fs::metadata(&path)) {
                return Ok(Lock { file, path });
            }
        }
    }
}

/// A cluster that nobody else works on meanwhile: until the last process has closed the file that inherited it, not until
/// the first has, as a lock would be that is taken off when it is dropped.
pub struct Lock {
    /// To be inherited by the keeper.
    pub file: File,
    path: PathBuf,
}

impl Lock {
    /// Removes its file, and the directory of clusters when this was the last.
    pub fn remove(self) {
        remove_lock(&self.path);
    }
}

/// Removes a lock's file, while it is held, and the directory of clusters when it is empty then.
pub fn remove_lock(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(path.parent().unwrap_or(path));
}

fn clusters() -> Result<PathBuf> {
    let base = node::runtime_base().map_err(|text| anyhow!(text))?;
    // On a node of a cluster the runtime directory is `.clusters/NAME/run`.
    let above = base.ancestors().nth(2).filter(|above| above.ends_with(CLUSTERS));
    Ok(above.map_or_else(|| base.join(CLUSTERS), Path::to_owned))
}

/// Every cluster, up or kept, by name.
///
/// # Errors
/// Their directory cannot be read.
pub fn all() -> Result<Vec<Place>> {
    let base = clusters()?;
    let entries = match fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("Cannot list clusters in {}", base.display()));
        }
    };
    let dirs = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut found: Vec<Place> = dirs.filter_map(|dir| Place::at(&dir).ok()).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn names(places: &[Place]) -> String {
    let names: Vec<_> = places.iter().map(|place| place.name.as_str()).collect();
    names.join(", ")
}
