// SPDX-License-Identifier: GPL-2.0-only
//! `umc nvmet`: the configuration of a node's NVMe target in the form of `nvmetcli`, which no Debian ships.
//!
//! An object of the file is a directory of configfs. What stands in an inner object, `{"attr": {"serial": "x"}}`, is an
//! attribute whose name begins with that, `attr_serial`.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::nodes;
use crate::on_node::OnNode;

/// Attributes of a namespace that no inner object stands for.
const OF_NAMESPACE: [&str; 1] = ["buffered_io"];

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum NvmetCommand {
    /// Make what a file of nvmetcli says, beside what is there
    Restore {
        /// The file; - is standard input
        #[arg(value_name = "FILE.json")]
        file: PathBuf,
    },
    /// Print what there is, as a file of nvmetcli
    Save,
    /// Take all of it away; hosts lose their connections
    Clear,
}

impl NvmetCommand {
    pub fn run(self, on: &OnNode) -> Result<()> {
        let node = nodes::pick(on.node.as_deref())?;
        let target = Target(node.root.join("sys/kernel/config/nvmet"));
        if !target.0.is_dir() {
            bail!(
                "The NVMe target is not loaded on node {0}. Load it: umc insmod -n {0} nvmet",
                node.name
            );
        }
        match self {
            NvmetCommand::Restore { file } => target.restore(&read(&file)?),
            NvmetCommand::Save => {
                println!("{}", serde_json::to_string_pretty(&target.save()?)?);
                Ok(())
            }
            NvmetCommand::Clear => target.clear(),
        }
    }
}

fn read(file: &Path) -> Result<Value> {
    let cannot = || format!("Cannot read {}", file.display());
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).with_context(cannot)?;
    } else {
        text = fs::read_to_string(file).with_context(cannot)?;
    }
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no file of nvmetcli", file.display()))
}

/// The directory of the target.
struct Target(PathBuf);

impl Target {
    fn restore(&self, wanted: &Value) -> Result<()> {
        for host in list(wanted, "hosts") {
            let dir = make(&self.0.join("hosts").join(text(host, "nqn")?))?;
            set_groups(&dir, host)?;
        }
        for subsystem in list(wanted, "subsystems") {
            let dir = make(&self.0.join("subsystems").join(text(subsystem, "nqn")?))?;
            set_groups(&dir, subsystem)?;
            for host in list(subsystem, "allowed_hosts") {
                let host = host.as_str().context("A name in allowed_hosts is no text")?;
                link(&self.0.join("hosts").join(host), &dir.join("allowed_hosts").join(host))?;
            }
            for namespace in list(subsystem, "namespaces") {
                let dir = make(&dir.join("namespaces").join(text(namespace, "nsid")?))?;
                set_groups(&dir, namespace)?;
                for name in OF_NAMESPACE.into_iter().chain(["enable"]) {
                    if let Some(value) = namespace.get(name) {
                        set(&dir.join(name), value)?;
                    }
                }
            }
        }
        for port in list(wanted, "ports") {
            let dir = make(&self.0.join("ports").join(text(port, "portid")?))?;
            set_groups(&dir, port)?;
            for group in list(port, "ana_groups") {
                let number = text(group, "grpid")?;
                let group_dir = dir.join("ana_groups").join(&number);
                // The first one is always there.
                if !group_dir.is_dir() {
                    make(&group_dir)?;
                }
                set_groups(&group_dir, group)?;
            }
            for referral in list(port, "referrals") {
                let dir = make(&dir.join("referrals").join(text(referral, "name")?))?;
                set_groups(&dir, referral)?;
                if let Some(value) = referral.get("enable") {
                    set(&dir.join("enable"), value)?;
                }
            }
            for subsystem in list(port, "subsystems") {
                let name = subsystem.as_str().context("A name in subsystems is no text")?;
                let target = self.0.join("subsystems").join(name);
                link(&target, &dir.join("subsystems").join(name))?;
            }
        }
        Ok(())
    }

    fn save(&self) -> Result<Value> {
        let hosts = objects(&self.0.join("hosts"), |dir, name| {
            with(groups(dir, &["dhchap"])?, [("nqn", json!(name))])
        })?;
        let subsystems = objects(&self.0.join("subsystems"), |dir, name| {
            let namespaces = objects(&dir.join("namespaces"), |dir, name| {
                let mut saved = groups(dir, &["ana", "device"])?;
                for file in OF_NAMESPACE.into_iter().chain(["enable"]) {
                    saved.insert(file.to_owned(), number(&get(&dir.join(file))?));
                }
                with(saved, [("nsid", number(name))])
            })?;
            let allowed = json!(names(&dir.join("allowed_hosts"))?);
            let more =
                [("allowed_hosts", allowed), ("namespaces", namespaces), ("nqn", json!(name))];
            with(groups(dir, &["attr"])?, more)
        })?;
        let ports = objects(&self.0.join("ports"), |dir, name| {
            let ana_groups = objects(&dir.join("ana_groups"), |dir, name| {
                with(groups(dir, &["ana"])?, [("grpid", number(name))])
            })?;
            let referrals = objects(&dir.join("referrals"), |dir, name| {
                let enable = number(&get(&dir.join("enable"))?);
                with(groups(dir, &["addr"])?, [("enable", enable), ("name", json!(name))])
            })?;
            let more = [
                ("ana_groups", ana_groups),
                ("portid", number(name)),
                ("referrals", referrals),
                ("subsystems", json!(names(&dir.join("subsystems"))?)),
            ];
            with(groups(dir, &["addr", "param"])?, more)
        })?;
        Ok(json!({ "hosts": hosts, "ports": ports, "subsystems": subsystems }))
    }

    fn clear(&self) -> Result<()> {
        for name in names(&self.0.join("ports"))? {
            let dir = self.0.join("ports").join(name);
            unlink_all(&dir.join("subsystems"))?;
            remove_all(&dir.join("referrals"), |_| true)?;
            remove_all(&dir.join("ana_groups"), |name| name != "1")?;
            remove(&dir)?;
        }
        for name in names(&self.0.join("subsystems"))? {
            let dir = self.0.join("subsystems").join(name);
            unlink_all(&dir.join("allowed_hosts"))?;
            remove_all(&dir.join("namespaces"), |_| true)?;
            remove(&dir)?;
        }
        remove_all(&self.0.join("hosts"), |_| true)
    }
}

/// The members of a list of an object; none where it has no such list.
fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// What is written to an attribute for a value.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(is_set) => u8::from(*is_set).to_string(),
        other => other.to_string(),
    }
}

/// The name of an object, which is a text or a number.
fn text(of: &Value, name: &str) -> Result<String> {
    let value = of.get(name).map(written).unwrap_or_default();
    if value.is_empty() || value.contains('/') || value == "." || value == ".." {
        bail!("An object of the file has no {name}, or one that cannot be a name: {of}");
    }
    Ok(value)
}

fn make(dir: &Path) -> Result<PathBuf> {
    fs::create_dir(dir).with_context(|| {
        format!("Cannot make {}. What is there goes by: umc nvmet clear", dir.display())
    })?;
    Ok(dir.to_owned())
}

fn link(to: &Path, at: &Path) -> Result<()> {
    symlink(to, at).with_context(|| {
        format!(
            "Cannot link {} to {}. The node's log may say why: umc dmesg",
            at.display(),
            to.display()
        )
    })
}

fn set(file: &Path, value: &Value) -> Result<()> {
    let value = written(value);
    fs::write(file, &value).with_context(|| {
        format!("Cannot write {value} to {}. The node's log may say why: umc dmesg", file.display())
    })
}

/// Writes the attributes of all inner objects.
fn set_groups(dir: &Path, of: &Value) -> Result<()> {
    for (group, attributes) in of.as_object().into_iter().flatten() {
        for (name, value) in attributes.as_object().into_iter().flatten() {
            if !written(value).is_empty() {
                set(&dir.join(format!("{group}_{name}")), value)?;
            }
        }
    }
    Ok(())
}

fn get(file: &Path) -> Result<String> {
    let text =
        fs::read_to_string(file).with_context(|| format!("Cannot read {}", file.display()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn number(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).with_context(|| format!("Cannot list {}", dir.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.push(name.into_string().map_err(|name| anyhow::anyhow!("{name:?} is no text"))?);
    }
    names.sort();
    Ok(names)
}

/// The attributes that can be set, by their groups.
fn groups(dir: &Path, of: &[&str]) -> Result<Map<String, Value>> {
    let mut groups = Map::new();
    for name in names(dir)? {
        let file = dir.join(&name);
        let Some((group, key)) = name.split_once('_').filter(|(group, _)| of.contains(group))
        else {
            continue;
        };
        if fs::metadata(&file)?.permissions().readonly() || !file.is_file() {
            continue;
        }
        let group = groups.entry(group).or_insert_with(|| json!({}));
        group[key] = json!(get(&file)?);
    }
    Ok(groups)
}

/// What `save` makes of each directory in one.
fn objects(dir: &Path, save: impl Fn(&Path, &str) -> Result<Value>) -> Result<Value> {
    let saved = names(dir)?.into_iter().map(|name| save(&dir.join(&name), &name));
    Ok(Value::Array(saved.collect::<Result<_>>()?))
}

fn with<const N: usize>(mut map: Map<String, Value>, more: [(&str, Value); N]) -> Result<Value> {
    map.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(Value::Object(map))
}

fn remove(dir: &Path) -> Result<()> {
    fs::remove_dir(dir).with_context(|| format!("Cannot remove {}", dir.display()))
}

fn remove_all(dir: &Path, is_one: impl Fn(&str) -> bool) -> Result<()> {
    let all = names(dir)?;
    all.iter().filter(|name| is_one(name)).try_for_each(|name| remove(&dir.join(name)))
}

fn unlink_all(dir: &Path) -> Result<()> {
    names(dir)?.iter().try_for_each(|name| {
        let link = dir.join(name);
        fs::remove_file(&link).with_context(|| format!("Cannot remove {}", link.display()))
    })
}
