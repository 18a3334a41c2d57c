// SPDX-License-Identifier: GPL-2.0-only
//! `umc insmod`, `rmmod`, `lsmod`, and the faces of kmod's programs.
//!
//! The redirector runs `umc` in place of `modprobe`, `insmod`, `rmmod`, `lsmod` and `modinfo`, so that
//! scripts and tools which call them act on the node. Of kmod's options those are understood that such
//! callers use.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use cdrivers::{modules, symbols};
use umc_protocol::control::{Module, Request};

use crate::client::Client;
use crate::nodes;

/// What a kernel may have as a module, and a node has always.
const BUILT_IN: [&str; 2] = ["configfs", "debugfs"];

fn client(node: Option<&str>) -> Result<Client> {
    Client::connect(&nodes::pick(node)?)
}

/// `umc insmod NAME|PATH [param=value…]`. A name brings the modules it depends on, as modprobe does;
/// a path is that file only, as with insmod.
pub fn insmod(node: Option<&str>, what: &str, params: &[String]) -> Result<()> {
    if let (None, [module, ..]) = (node, params)
        && nodes::record(what).is_ok_and(|record| record.is_some())
    {
        bail!("{what} is a node. To load a module into it: umc insmod -n {what} {module}");
    }
    let client = client(node)?;
    let path = modules::find(what)?;
    if what.contains('/') {
        return insert(&client, &path, params);
    }
    load(&client, &path, params)
}

fn insert(client: &Client, path: &Path, params: &[String]) -> Result<()> {
    let path = path.display().to_string();
    client.request::<Module>(&Request::Insmod { path, params: params.to_vec() }).map(drop)
}

/// Load what `path` depends on and is not there yet, then `path` itself.
fn load(client: &Client, path: &PathBuf, params: &[String]) -> Result<()> {
    let loaded = client.request::<Vec<Module>>(&Request::Lsmod {})?;
    for needed in modules::load_order(path)? {
        if needed == *path {
            insert(client, &needed, params)?;
        } else if !loaded.iter().any(|module| module.name == module_name(&needed)) {
            insert(client, &needed, &[])?;
        }
    }
    Ok(())
}

/// Where the modules lie that are loaded: further ones of their sets are beside them. Behind them, for a node of a cluster
/// that has none, where its driver lies.
fn dirs(loaded: &[Module]) -> Vec<PathBuf> {
    let driver = crate::cluster::driver_here().and_then(|driver| modules::find(&driver).ok());
    let paths = loaded.iter().map(|module| Path::new(&module.path)).chain(driver.as_deref());
    paths.filter_map(|path| Some(path.parent()?.into())).collect()
}

/// The name a module file has once it is loaded.
fn module_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_")
}

/// The loaded module that a name, a set or an alias means; None when what it means is not loaded.
///
/// # Errors
/// It means nothing at all.
fn loaded_as(loaded: &[Module], what: &str) -> Result<Option<String>> {
    let name = what.replace('-', "_");
    if loaded.iter().any(|module| module.name == name) {
        return Ok(Some(name));
    }
    let path = modules::find_from(&dirs(loaded), what)?;
    let is_it = |module: &&Module| Path::new(&module.path) == path;
    Ok(loaded.iter().find(is_it).map(|module| module.name.clone()))
}

/// `umc rmmod NAME`.
pub fn rmmod(node: Option<&str>, name: &str) -> Result<()> {
    client(node)?.request(&Request::Rmmod { name: name.into() })
}

/// `umc lsmod`.
pub fn lsmod(node: Option<&str>) -> Result<()> {
    let modules = client(node)?.request::<Vec<Module>>(&Request::Lsmod {})?;
    println!("{:<24}{:>8}  Used by", "Module", "Size");
    for module in modules {
        let users = module.used_by.join(",");
        println!("{:<24}{:>8}  {} {users}", module.name, module.size, module.refs);
    }
    Ok(())
}

/// Act as the program of kmod called `name`; None when it is not one of them.
pub fn applet(name: &str, arguments: &[String]) -> Option<Result<()>> {
    Some(match name {
        "modprobe" => modprobe(arguments),
        "insmod" => applet_insmod(arguments),
        "rmmod" => applet_rmmod(arguments),
        "lsmod" => lsmod(None),
        "modinfo" => modinfo(arguments),
        _ => return None,
    })
}

/// Options and other arguments; an option that is not in `known` is refused.
fn split<'a>(
    program: &str,
    arguments: &'a [String],
    known: &[&str],
) -> Result<(Vec<&'a str>, Vec<&'a str>)> {
    let (options, rest): (Vec<_>, Vec<_>) =
        arguments.iter().map(String::as_str).partition(|argument| argument.starts_with('-'));
    match options.iter().find(|option| !known.contains(option)) {
        Some(option) => {
            bail!("{program}: {option} is not supported here (this is umc's {program}).")
        }
        None => Ok((options, rest)),
    }
}

fn modprobe(arguments: &[String]) -> Result<()> {
    // What to say and where, and what to do with several names.
    let harmless = ["-s", "-q", "-v", "-b", "-a", "--syslog", "--quiet", "--verbose", "--all"];
    let known = [&harmless[..], &["--use-blacklist", "--first-time", "-r", "--remove"]].concat();
    let (options, rest) = split("modprobe", arguments, &known)?;
    let client = client(None)?;
    let loaded = client.request::<Vec<Module>>(&Request::Lsmod {})?;
    let is_loaded = |name: &str| {
        let name = name.replace('-', "_");
        loaded.iter().any(|module| module.name == name)
    };
    let [name, params @ ..] = &rest[..] else { bail!("modprobe: which module?") };
    let first_time = options.contains(&"--first-time");
    if options.contains(&"-r") || options.contains(&"--remove") {
        for name in &rest {
            match loaded_as(&loaded, name)? {
                Some(name) => client.request::<()>(&Request::Rmmod { name })?,
                None if first_time => bail!("modprobe: module {name} is not loaded."),
                None => {}
            }
        }
        return Ok(());
    }
    let several = options.contains(&"-a") || options.contains(&"--all");
    let params: Vec<_> = params.iter().map(|param| param.to_string()).collect();
    let names = if several { &rest[..] } else { &[*name] };
    for name in names.iter().filter(|name| !BUILT_IN.contains(name)) {
        // A set or an alias is another name of a module that may be there.
        let path = match is_loaded(name) {
            true => None,
            false => Some(modules::find_from(&dirs(&loaded), name)?),
        };
        match path.filter(|path| !is_loaded(&module_name(path))) {
            Some(path) => load(&client, &path, if several { &[] } else { &params })?,
            None if first_time => bail!("modprobe: module {name} is loaded already."),
            None => {}
        }
    }
    Ok(())
}

fn applet_insmod(arguments: &[String]) -> Result<()> {
    let (_, rest) = split("insmod", arguments, &["-s", "-v", "-f"])?;
    let [file, params @ ..] = &rest[..] else { bail!("insmod: which file?") };
    let params: Vec<_> = params.iter().map(|param| param.to_string()).collect();
    insert(&client(None)?, &modules::find(file)?, &params)
}

fn applet_rmmod(arguments: &[String]) -> Result<()> {
    let (_, names) = split("rmmod", arguments, &["-s", "-v", "--syslog", "--verbose"])?;
    if names.is_empty() {
        bail!("rmmod: which module?");
    }
    names.iter().try_for_each(|name| rmmod(None, name))
}

/// The file that a name means on the node: that of the loaded module, one beside it, or what `umc build` made.
fn installed(name: &str) -> Result<PathBuf> {
    let loaded = match nodes::meant()? {
        Some(node) => Client::connect(&node)?.request::<Vec<Module>>(&Request::Lsmod {})?,
        // Nothing is loaded where there is no node.
        None => Vec::new(),
    };
    let is_it = |module: &&Module| module.name == name.replace('-', "_") && !module.path.is_empty();
    match loaded.iter().find(is_it) {
        Some(module) => Ok(module.path.clone().into()),
        None => Ok(modules::find_from(&dirs(&loaded), name)?),
    }
}

/// `modinfo [-F FIELD] NAME`.
fn modinfo(arguments: &[String]) -> Result<()> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (field, name) = match arguments[..] {
        ["-F" | "--field", field, name] => (Some(field), name),
        [name] if !name.starts_with('-') => (None, name),
        _ => bail!(
            "modinfo: only \"modinfo [-F FIELD] NAME\" is supported here (this is umc's modinfo)."
        ),
    };
    let file = installed(name)?;
    let Some(field) = field else { return crate::build_cmd::modinfo(&file.display().to_string()) };
    for (key, value) in symbols::modinfo(&file)? {
        if key == field {
            println!("{value}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_from_names_and_unknown_ones_refused() {
        let arguments = ["-s", "drbd", "minor_count=8"].map(String::from);
        let (options, rest) = split("modprobe", &arguments, &["-s"]).unwrap();
        assert_eq!((options, rest), (vec!["-s"], vec!["drbd", "minor_count=8"]));
        let error = split("modprobe", &["-C".into()], &["-s"]).unwrap_err().to_string();
        assert!(error.contains("-C is not supported"), "{error}");
    }

    #[test]
    fn a_file_names_its_module() {
        assert_eq!(module_name(Path::new("/x/lru-cache.so")), "lru_cache");
    }
}
