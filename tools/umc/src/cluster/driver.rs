// SPDX-License-Identifier: GPL-2.0-only
//! The driver of a cluster: which one, which version, and its build where it is not there yet.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cdrivers::{Error, catalogue, kbuild, module_dir, modules, symbols};

use crate::redirect;

/// How sets of DRBD 9 are named that `umc build --as` made.
const SETS_OF_NINE: &str = "drbd-9";

/// The newest DRBD 9 that was built, else the 8.4 of the catalogue.
pub fn by_default() -> String {
    let entries = fs::read_dir(module_dir()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let sets = names.filter(|name| name.starts_with(SETS_OF_NINE) && modules::find(name).is_ok());
    sets.max_by_key(|name| numbers(name)).unwrap_or_else(|| "drbd".into())
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
    let is_known = catalogue::find(driver).is_some();
    let found = match modules::find(driver) {
        Ok(module) => modules::check_headers(&module).map(|()| module),
        Err(error) => Err(error),
    };
    match found {
        Err(Error::NotBuilt { .. } | Error::OtherHeaders { .. }) if is_known => {
            eprintln!("Building {driver}, once …");
            kbuild::build(&redirect::beside("umcd")?, driver, None)?;
            Ok(modules::find(driver)?)
        }
        other => Ok(other?),
    }
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
