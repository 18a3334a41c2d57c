// SPDX-License-Identifier: GPL-2.0-only
//! The driver of a cluster: which one, which version, and its build where it is not there yet.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cdrivers::{Error, catalogue, kbuild, module_dir, modules, symbols};

use nix::fcntl::{Flock, FlockArg};

use crate::redirect;

/// How sets of DRBD 9 are named that `umc build --as` made.
const SETS_OF_NINE: &str = "drbd-9";

/// The newest DRBD 9 that was built for this umc, else the 8.4 of the catalogue.
pub fn by_default() -> String {
    let entries = fs::read_dir(module_dir()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let sets = names.filter(|name| name.starts_with(SETS_OF_NINE));
    let found = sets.filter_map(|name| modules::find(&name).ok().map(|module| (name, module)));
    let (ours, others): (Vec<_>, Vec<_>) =
        found.partition(|(_, module)| modules::check_headers(module).is_ok());
    let newest =
        |sets: Vec<(String, PathBuf)>| sets.into_iter().max_by_key(|(name, _)| numbers(name));
    if let Some((name, _)) = newest(ours) {
        return name;
    }
    if let Some((_, module)) = newest(others)
        && let Err(why) = modules::check_headers(&module)
    {
        eprintln!("No DRBD 9 is taken, but 8.4: {why}");
    }
    "drbd".into()
}

/// The numbers in a name, to compare versions.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Whether a version is one of DRBD 9, or later.
pub fn is_nine(version: &str) -> bool {
    numbers(version).first().is_some_and(|major| *major >= 9)
}

/// What a driver calls its version. One of the catalogue that is not there is built.
///
/// # Errors
/// It is not there, and is none of the catalogue, or cannot be built.
pub fn version(driver: &str) -> Result<String> {
    let module = build(driver)?;
    let says = symbols::modinfo(&module)?;
    let version = says.into_iter().find(|(key, _)| key == "version");
    version
        .map(|(_, version)| version)
        .with_context(|| format!("{} does not say its version: it is no DRBD", module.display()))
}

/// The file of a driver. One of the catalogue that is not there, or was built for another `umc`, is built.
///
/// # Errors
/// As [`version`].
pub fn build(driver: &str) -> Result<PathBuf> {
    let find = || {
        let module = modules::find(driver)?;
        modules::check_headers(&module).map(|()| module)
    };
    match find() {
        Err(Error::NotBuilt { .. } | Error::OtherHeaders { .. })
            if catalogue::find(driver).is_some() =>
        {
            // Clusters that come up side by side would build in one directory.
            let _lock = lock()?;
            if let Ok(module) = find() {
                return Ok(module);
            }
            eprintln!("Building {driver}, once …");
            kbuild::build(&redirect::beside("umcd")?, driver, None)?;
            Ok(find()?)
        }
        other => Ok(other?),
    }
}

/// Only one build at a time in a cache.
fn lock() -> Result<Flock<File>> {
    let dir = cdrivers::cache_dir();
    let path = dir.join("build.lock");
    let cannot = || format!("Cannot build a driver: {}", path.display());
    fs::create_dir_all(&dir).with_context(cannot)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let locked = Flock::lock(file.with_context(cannot)?, FlockArg::LockExclusive);
    locked.map_err(|(_, error)| error).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("drbd-9.10") > numbers("drbd-9.3.3"));
        assert!(is_nine("9.3.3") && is_nine("10.0") && !is_nine("8.4.11") && !is_nine(""));
    }
}
