// SPDX-License-Identifier: GPL-2.0-only
//! Kbuild, and from `NAME.ko` to `NAME.so`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::catalogue::{self, Driver};
use crate::manifest::Manifest;
use crate::{Error, Result, imports, io, kdir, package, symbols};

/// One module that was built.
#[derive(Debug)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// The shared object that `umc insmod` loads.
    pub so: PathBuf,
}

fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command
        .output()
        .map_err(|error| Error::Command { command: shown.clone(), output: error.to_string() })?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(text.into_owned());
    }
    Err(Error::Command { command: shown, output: text.into_owned() })
}

/// `make -C KDIR M=DIR modules`. Returns what it printed, warnings included.
pub fn make(kdir: &Path, dir: &Path) -> Result<String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("make");
    command.arg("-C").arg(kdir).arg(format!("M={}", dir.display())).arg(format!("-j{jobs}"));
    // Missing symbols are not modpost's to refuse: `umc insmod` names them all.
    command.args(["KBUILD_MODPOST_WARN=1", "modules"]);
    for variable in ["MAKEFLAGS", "MFLAGS", "ARCH", "LDFLAGS", "KBUILD_OUTPUT"] {
        command.env_remove(variable);
    }
    run(&mut command)
}

/// Links `NAME.ko` to `NAME.so` beside it: calls into other modules become slots (see [`imports`]).
///
/// `-Bsymbolic`: the module's own symbols win over equal names of the program. `-z now`: every symbol is bound, or
/// found missing, when the module is loaded.
fn link(ko: &Path, exports: &BTreeMap<String, String>) -> Result<()> {
    let name = ko.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let undefined = symbols::undefined(ko)?;
    let foreign: Vec<&str> = undefined
        .iter()
        .filter(|symbol| exports.get(*symbol).is_some_and(|module| *module != name))
        .map(String::as_str)
        .collect();
    let stubs = ko.with_extension("imports.s");
    fs::write(&stubs, imports::assembly(foreign)).map_err(io("write", &stubs))?;
    run(Command::new("gcc")
        .args(["-shared", "-nostdlib", "-Wl,-Bsymbolic", "-Wl,-z,now", "-Wl,--build-id", "-o"])
        .arg(ko.with_extension("so"))
        .arg(ko)
        .arg(&stubs)
        .arg("-lgcc"))?;
    Ok(())
}

/// Adds all `.ko` files below `dir`.
fn find_modules(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(io("read", dir))? {
        let path = entry.map_err(io("read", dir))?.path();
        if path.is_dir() && !path.is_symlink() {
            find_modules(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            found.push(path);
        }
    }
    Ok(())
}

fn depends(ko: &Path) -> Result<Vec<String>> {
    let info = symbols::modinfo(ko)?;
    let list = info.iter().find(|(key, _)| key == "depends").map_or("", |(_, value)| value);
    Ok(list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Builds a directory with a Kbuild file or Makefile of its own. The modules stay in it.
pub fn build_dir(umcd: &Path, dir: &Path) -> Result<(Vec<Built>, String)> {
    let dir = dir.canonicalize().map_err(io("open", dir))?;
    let kdir = kdir::make(umcd)?;
    let output = make(&kdir, &dir)?;
    let mut found = Vec::new();
    find_modules(&dir, &mut found)?;
    let exports = symbols::module_exports(found.iter().map(PathBuf::as_path))?;
    let mut built = Vec::new();
    for ko in found {
        link(&ko, &exports)?;
        let name = ko.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Manifest {
            name: name.clone(),
            driver: None,
            package: None,
            package_version: None,
            built_in: dir.clone(),
            headers: Some(kdir::headers().into()),
            depends: depends(&ko)?,
        }
        .write(&ko)?;
        built.push(Built { name, so: ko.with_extension("so") });
    }
    Ok((built, output))
}

/// Builds a catalogue driver out of its Debian package into [`crate::module_dir`].
pub fn build_driver(umcd: &Path, driver: &Driver) -> Result<(Vec<Built>, String)> {
    let version = package::installed_version(driver.package)?;
    let dir = crate::cache_dir().join(format!("build/{}-{version}", driver.name));
    let unpacked = dir.join(".unpacked");
    if !unpacked.exists() {
        package::unpack(driver, &dir)?;
        fs::write(&unpacked, &version).map_err(io("write", &unpacked))?;
    }
    for (name, text) in driver.kbuild {
        let path = dir.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(*text) {
            fs::write(&path, text).map_err(io("write", &path))?;
        }
    }
    let kdir = kdir::make(umcd)?;
    let output = make(&kdir, &dir)?;
    let files: Vec<_> =
        driver.modules.iter().map(|(_, stem)| dir.join(stem).with_extension("ko")).collect();
    let exports = symbols::module_exports(files.iter().map(PathBuf::as_path))?;
    let modules = crate::module_dir();
    fs::create_dir_all(&modules).map_err(io("create", &modules))?;
    let mut built = Vec::new();
    for ((name, _), ko) in driver.modules.iter().zip(files) {
        link(&ko, &exports)?;
        for extension in ["ko", "so"] {
            install(&ko.with_extension(extension), &modules.join(format!("{name}.{extension}")))?;
        }
        let so = modules.join(format!("{name}.so"));
        Manifest {
            name: (*name).into(),
            driver: Some(driver.name.into()),
            package: Some(driver.package.into()),
            package_version: Some(version.clone()),
            built_in: dir.clone(),
            headers: Some(kdir::headers().into()),
            depends: depends(&ko)?,
        }
        .write(&so)?;
        built.push(Built { name: (*name).into(), so });
    }
    Ok((built, output))
}

/// Puts a file in place by rename: a node that has the old one mapped keeps it.
fn install(from: &Path, to: &Path) -> Result<()> {
    let fresh = to.with_extension(format!("new.{}", std::process::id()));
    fs::copy(from, &fresh).map_err(io("copy", from))?;
    fs::rename(&fresh, to).map_err(io("rename", to))
}

/// Builds by name or directory, as `umc build` is told.
pub fn build(umcd: &Path, what: &str) -> Result<(Vec<Built>, String)> {
    if let Some(driver) = catalogue::find(what) {
        return build_driver(umcd, driver);
    }
    let dir = Path::new(what);
    if dir.is_dir() {
        return build_dir(umcd, dir);
    }
    let known: Vec<&str> = catalogue::DRIVERS.iter().map(|driver| driver.name).collect();
    Err(Error::UnknownDriver { name: what.into(), known: known.join(", ") })
}
