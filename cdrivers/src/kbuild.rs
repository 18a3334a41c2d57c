// SPDX-License-Identifier: GPL-2.0-only
//! Kbuild, and from `NAME.ko` to `NAME.so`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use crate::catalogue::{self, Driver};
use crate::manifest::Manifest;
use crate::symbols::Export;
use crate::{Error, Result, imports, io, kdir, modules, package, symbols};

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

/// Whether the directory's Makefile takes the tree of the kernel from a variable: the custom of modules that are not part
/// of Linux. It may do more than to call Kbuild then, so it is what is run.
fn takes_kdir(dir: &Path) -> bool {
    fs::read_to_string(dir.join("Makefile")).is_ok_and(|text| text.contains("$(KDIR)"))
}

/// `make -C KDIR M=DIR modules`, or `make -C DIR KDIR=KDIR` if the directory's Makefile wants that. Returns what it
/// printed, warnings included.
pub fn make(kdir: &Path, dir: &Path) -> Result<String> {
    make_on(kdir, dir, &[])
}

/// The same where modules in `on`, directories that were made before, export something that is used.
fn make_on(kdir: &Path, dir: &Path, on: &[PathBuf]) -> Result<String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("make");
    // Missing symbols are not modpost's to refuse: `umc insmod` names them all.
    command.arg(format!("-j{jobs}")).arg("KBUILD_MODPOST_WARN=1");
    // Not where nothing is to be said: a source may name others by itself.
    if !on.is_empty() {
        let exports = on.iter().map(|dir| dir.join("Module.symvers").display().to_string());
        let exports = exports.collect::<Vec<_>>().join(" ");
        command.arg(format!("KBUILD_EXTRA_SYMBOLS={exports}"));
    }
    if takes_kdir(dir) {
        command.arg("-C").arg(dir).arg(format!("KDIR={}", kdir.display()));
    } else {
        command.arg("-C").arg(kdir).arg(format!("M={}", dir.display())).arg("modules");
    }
    for variable in ["MAKEFLAGS", "MFLAGS", "ARCH", "LDFLAGS", "KBUILD_OUTPUT"] {
        command.env_remove(variable);
    }
    run(&mut command)
}

/// Links `NAME.ko` to `NAME.so` beside it: calls into other modules become slots, and variables of theirs are bound by the
/// loader (see [`imports`]).
///
/// `-Bsymbolic`: the module's own symbols win over equal names of the program. `-z now`: every symbol is bound, or
/// found missing, when the module is loaded.
fn link(ko: &Path, exports: &BTreeMap<String, Export>) -> Result<()> {
    let name = ko.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let undefined = symbols::undefined(ko)?;
    let export_of = |symbol: &String| exports.get(symbol).filter(|export| export.module != name);
    let foreign = undefined.into_iter().filter(|symbol| export_of(symbol).is_some());
    let is_variable = |symbol: &String| export_of(symbol).is_some_and(|export| export.is_data);
    let (variables, functions): (Vec<_>, Vec<_>) = foreign.partition(is_variable);
    let stubs = ko.with_extension("imports.s");
    let text = imports::assembly(&functions, &variables);
    fs::write(&stubs, text).map_err(io("write", &stubs))?;
    let mut command = Command::new("gcc");
    command.args(["-shared", "-nostdlib", "-Wl,-Bsymbolic", "-Wl,-z,now", "-Wl,--build-id"]);
    let object = if variables.is_empty() {
        ko.to_owned()
    } else {
        // The dynamic linker leaves what is weak alone, and the loader writes its address where that can still be written.
        command.arg("-Wl,-z,norelro");
        let weak = ko.with_extension("weak.o");
        let weaken = variables.iter().map(|name| format!("--weaken-symbol={name}"));
        run(Command::new("objcopy").args(weaken).arg(ko).arg(&weak))?;
        weak
    };
    run(command.arg("-o").arg(ko.with_extension("so")).arg(object).arg(&stubs).arg("-lgcc"))?;
    Ok(())
}

/// Keeps other builds out of a directory, or those that write there, as long as what is returned is there. Waits for those that
/// are under way.
fn lock(dir: &Path, how: FlockArg) -> Result<Flock<File>> {
    let opened = File::open(dir).map_err(io("open", dir))?;
    Flock::lock(opened, how).map_err(|(_, errno)| io("lock", dir)(errno.into()))
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

/// Whether a module was built with the headers of this program. Others may lie in the same directory: built for the host,
/// or left by an earlier build of a source that is no longer made.
fn is_ours(ko: &Path) -> bool {
    let info = symbols::modinfo(ko).unwrap_or_default();
    // As VERMAGIC_STRING of linux/vermagic.h ends.
    let end = format!(" umc {} ", kdir::headers());
    info.iter().any(|(key, value)| key == "vermagic" && value.ends_with(&end))
}

/// Builds a directory with a Kbuild file or Makefile of its own. The modules stay in it; with a name for the set, copies
/// of them go where they are found by that name.
pub fn build_dir(umcd: &Path, dir: &Path, set: Option<&str>) -> Result<(Vec<Built>, String)> {
    let dir = dir.canonicalize().map_err(io("open", dir))?;
    let _alone = lock(&dir, FlockArg::LockExclusive)?;
    let kdir = kdir::make(umcd)?;
    let output = make(&kdir, &dir)?;
    let mut found = Vec::new();
    find_modules(&dir, &mut found)?;
    found.retain(|ko| is_ours(ko));
    let place = set.map(|set| place_of(set, &found)).transpose()?;
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
        let so = match &place {
            None => ko.with_extension("so"),
            Some((place, _)) => {
                // The record last: it is not to speak for another file.
                for extension in ["ko", "so", "json"] {
                    let from = ko.with_extension(extension);
                    install(&from, &place.join(from.file_name().unwrap_or_default()))?;
                }
                place.join(&name).with_extension("so")
            }
        };
        built.push(Built { name, so });
    }
    Ok((built, output))
}

/// The directory that a set goes to, without the modules of an earlier build that this one has not. Nobody else builds into
/// it as long as the second is there.
fn place_of(set: &str, modules: &[PathBuf]) -> Result<(PathBuf, Flock<File>)> {
    let fails = |reason: String| Error::BadSet { name: set.into(), reason };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_file = modules::is_object(Path::new(set));
    if set.is_empty() || set.starts_with('.') || is_file || !set.chars().all(is_plain) {
        return Err(fails("it is made of letters, digits, dots, dashes and underscores, and does not end as a file of a module".into()));
    }
    let names: Vec<String> = modules
        .iter()
        .map(|ko| ko.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    if modules::named_after(set, names.iter().map(String::as_str)).is_none() {
        return Err(fails(format!(
            "it begins with the name of a module of it: {}",
            names.join(", ")
        )));
    }
    if catalogue::of_module(&set.replace('-', "_")).is_some() {
        return Err(fails("that is a module of the catalogue; add a version to it".into()));
    }
    let place = crate::module_dir().join(set);
    fs::create_dir_all(&place).map_err(io("create", &place))?;
    let alone = lock(&place, FlockArg::LockExclusive)?;
    for entry in fs::read_dir(&place).map_err(io("read", &place))? {
        let old = entry.map_err(io("read", &place))?.path();
        if !names.iter().any(|name| old.file_stem().is_some_and(|stem| stem == name.as_str())) {
            fs::remove_file(&old).map_err(io("remove", &old))?;
        }
    }
    Ok((place, alone))
}

/// Where a catalogue driver is built.
fn directory_of(driver: &Driver) -> Result<PathBuf> {
    let version = package::installed_version(driver.package)?;
    Ok(crate::cache_dir().join(format!("build/{}-{version}", driver.name)))
}

/// The modules of a catalogue driver, as they come out in its directory.
fn objects(driver: &Driver, dir: &Path) -> Vec<PathBuf> {
    driver.modules.iter().map(|(_, stem)| dir.join(stem).with_extension("ko")).collect()
}

/// Builds a catalogue driver out of its Debian package into [`crate::module_dir`].
pub fn build_driver(umcd: &Path, driver: &Driver) -> Result<(Vec<Built>, String)> {
    let version = package::installed_version(driver.package)?;
    let dir = directory_of(driver)?;
    let on: Vec<&Driver> = driver.on.iter().filter_map(|name| catalogue::find(name)).collect();
    for other in &on {
        build_driver(umcd, other)?;
    }
    let on_dirs = on.iter().map(|other| directory_of(other)).collect::<Result<Vec<_>>>()?;
    // A driver's own directory first, then those it is built on, which never want this one: nobody waits for himself.
    fs::create_dir_all(&dir).map_err(io("create", &dir))?;
    let _alone = lock(&dir, FlockArg::LockExclusive)?;
    let shared = on_dirs.iter().map(|dir| lock(dir, FlockArg::LockShared));
    let _shared = shared.collect::<Result<Vec<_>>>()?;
    // An older umc may have taken fewer files out of the same package.
    let unpacked = dir.join(".unpacked");
    let files: Vec<_> = driver.files.iter().map(|files| files.from).collect();
    let what = format!("{version}\n{}\n", files.join("\n"));
    if fs::read_to_string(&unpacked).ok().as_deref() != Some(what.as_str()) {
        package::unpack(driver, &dir)?;
        fs::write(&unpacked, what).map_err(io("write", &unpacked))?;
    }
    for (name, text) in driver.kbuild {
        let path = dir.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(*text) {
            fs::write(&path, text).map_err(io("write", &path))?;
        }
    }
    let kdir = kdir::make(umcd)?;
    let output = make_on(&kdir, &dir, &on_dirs)?;
    let files = objects(driver, &dir);
    let others = on.iter().zip(&on_dirs).flat_map(|(other, dir)| objects(other, dir));
    let all: Vec<_> = files.iter().cloned().chain(others).collect();
    let exports = symbols::module_exports(all.iter().map(PathBuf::as_path))?;
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
pub fn build(umcd: &Path, what: &str, set: Option<&str>) -> Result<(Vec<Built>, String)> {
    match (catalogue::find(what), set) {
        (Some(driver), None) => return build_driver(umcd, driver),
        (Some(_), Some(set)) if !Path::new(what).is_dir() => {
            let reason = format!("{what} is a driver of the catalogue and keeps its name");
            return Err(Error::BadSet { name: set.into(), reason });
        }
        _ => {}
    }
    let dir = Path::new(what);
    if dir.is_dir() {
        return build_dir(umcd, dir, set);
    }
    let known: Vec<&str> = catalogue::DRIVERS.iter().map(|driver| driver.name).collect();
    Err(Error::UnknownDriver { name: what.into(), known: known.join(", ") })
}
