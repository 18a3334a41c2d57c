// SPDX-License-Identifier: GPL-2.0-only
//! Source out of Debian packages: unpacked in part, never patched, and compared with the archive on request.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::catalogue::Driver;
use crate::{Error, Result, io};

/// The installed version of a package, as dpkg knows it.
pub fn installed_version(package: &str) -> Result<String> {
    let missing = || Error::PackageMissing { package: package.into(), missing: package.into() };
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status} ${Version}", package])
        .stderr(Stdio::null())
        .output()
        .map_err(|_| missing())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().split_once(' ') {
        Some(("installed", version)) => Ok(version.to_owned()),
        _ => Err(missing()),
    }
}

/// The top directory of the archive.
fn top(driver: &Driver) -> String {
    let name = Path::new(driver.archive).file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".tar.xz").to_owned()
}

/// Unpacks the driver's files into the directory `into`, with the paths they have below the archive's top directory.
pub fn unpack(driver: &Driver, into: &Path) -> Result<()> {
    let archive = Path::new(driver.archive);
    if !archive.exists() {
        return Err(Error::PackageMissing {
            package: driver.package.into(),
            missing: driver.archive.into(),
        });
    }
    fs::create_dir_all(into).map_err(io("create", into))?;
    let top = top(driver);
    let mut command = Command::new("tar");
    command.arg("-xJf").arg(archive).arg("-C").arg(into).arg("--strip-components=1");
    command.arg("--no-same-owner");
    // With this, tar ends when it has met every name once, long before the end of the archive. A directory is met with its
    // first member, so a file must come after it.
    if driver.files.last().is_some_and(|files| !files.from.ends_with('/')) {
        command.arg("--occurrence=1");
    }
    for files in driver.files {
        command.arg(format!("{top}/{}", files.from.trim_end_matches('/')));
    }
    let output = command.output().map_err(io("run tar for", archive))?;
    if !output.status.success() {
        return Err(Error::Command {
            command: format!("tar -xJf {}", archive.display()),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(())
}

/// SHA-256 of every regular file below `dir`, by path below it.
fn hash_tree(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    fn walk(top: &Path, dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
        for entry in fs::read_dir(dir).map_err(io("read", dir))? {
            let path = entry.map_err(io("read", dir))?.path();
            if path.is_dir() {
                walk(top, &path, found)?;
            } else {
                let bytes = fs::read(&path).map_err(io("read", &path))?;
                let name = path.strip_prefix(top).unwrap_or(&path).to_owned();
                found.insert(name, Sha256::digest(&bytes).to_vec());
            }
        }
        Ok(())
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found)?;
    Ok(found)
}

/// The outcome of a comparison with the package's archive.
#[derive(Debug)]
pub struct Comparison {
    /// Files of the archive that belong to the driver.
    pub compared: usize,
    /// Those that are missing from the build directory or differ there.
    pub differing: Vec<PathBuf>,
}

/// Compares the source a module was built from with the package's archive, by unpacking the archive once more.
pub fn compare(driver: &Driver, built_from: &Path) -> Result<Comparison> {
    let scratch = crate::cache_dir().join(format!("compare-{}", std::process::id()));
    let result = unpack(driver, &scratch).and_then(|()| hash_tree(&scratch));
    let _ = fs::remove_dir_all(&scratch);
    let pristine = result?;
    let mut differing = Vec::new();
    for (name, hash) in &pristine {
        let path = built_from.join(name);
        let same = fs::read(&path).is_ok_and(|bytes| Sha256::digest(&bytes).as_slice() == hash);
        if !same {
            differing.push(name.clone());
        }
    }
    Ok(Comparison { compared: pristine.len(), differing })
}
