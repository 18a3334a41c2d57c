// SPDX-License-Identifier: GPL-2.0-only
//! Finding module files.
//!
//! `umc build` puts the modules of the catalogue into one directory, and what it was told to build `--as SET` into a
//! directory of its own below: so several builds of one name stand side by side. What a module depends on, or requests,
//! is looked for in its own directory first. As for kmod, `-` and `_` are one in the name of a module.

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};

use crate::manifest::Manifest;
use crate::{Error, Result, io, module_dir, symbols};

/// A module's name as the kernel spells it.
fn spelled(name: &str) -> String {
    name.replace('-', "_")
}

/// An alias, or its pattern, as kmod spells it: what stands in brackets is a set of characters, and left alone.
fn spelled_alias(alias: &str) -> String {
    let mut is_set = false;
    let spell = |c: char| {
        is_set = c != ']' && (is_set || c == '[');
        if c == '-' && !is_set { '_' } else { c }
    };
    alias.chars().map(spell).collect()
}

/// Whether a path says that it is a module's file.
pub fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ko" || extension == "so")
}

fn stem(file: &Path) -> String {
    spelled(&file.file_stem().unwrap_or_default().to_string_lossy())
}

/// `NAME`, the name of a set, `SET/NAME`, or the path of a `.ko` or `.so`, to the shared object that is loaded.
pub fn find(what: &str) -> Result<PathBuf> {
    let path = Path::new(what);
    let is_file = what.contains('/') || is_object(path);
    let names_only = path.components().all(|part| matches!(part, Component::Normal(_)));
    let found = match path.parent().filter(|dir| *dir != Path::new("")) {
        _ if is_object(path) || path.with_extension("so").exists() && is_file => {
            Some(path.with_extension("so"))
        }
        Some(set) if names_only => in_dir(&module_dir().join(set), &stem(path))?,
        _ if is_file => Some(path.with_extension("so")),
        _ if module_dir().join(what).is_dir() => Some(main_module(what)?),
        _ => in_dir(&module_dir(), what)?,
    };
    match found.filter(|path| path.exists()) {
        Some(path) => path.canonicalize().map_err(io("open", &path)),
        None if is_file => Err(Error::NoSuchFile { path: path.with_extension("so") }),
        None => Err(Error::NotBuilt {
            path: module_dir().join(spelled(what)).with_extension("so"),
            name: what.into(),
        }),
    }
}

/// The module that a set is named after: that whose name its name begins with.
///
/// # Errors
/// None of the modules is.
pub fn named_after<'a>(set: &str, modules: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let set = spelled(set);
    modules.filter(|name| set.starts_with(&spelled(name))).max_by_key(|name| name.len())
}

fn main_module(set: &str) -> Result<PathBuf> {
    let dir = module_dir().join(set);
    let files = files(&dir, "so")?;
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    let main = named_after(set, stems.iter().map(String::as_str));
    let found = files.iter().zip(&stems).find(|(_, stem)| main == Some(stem.as_str()));
    match found {
        Some((file, _)) => Ok(file.clone()),
        None => Err(Error::NotBuilt { path: dir, name: set.into() }),
    }
}

/// The module of a directory that has a name.
fn in_dir(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    let name = spelled(name);
    Ok(files(dir, "so")?.into_iter().find(|file| stem(file) == name))
}

/// The module of a directory that has an alias of that name.
fn by_alias(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    let Ok(wanted) = CString::new(spelled_alias(name)) else { return Ok(None) };
    for file in files(dir, "so")? {
        // One that cannot be read has no alias; it does not stand in the way of the others.
        let is_it = symbols::modinfo(&file).unwrap_or_default().iter().any(|(key, pattern)| {
            let Ok(pattern) = CString::new(spelled_alias(pattern)) else { return false };
            // SAFETY: two C strings.
            key == "alias" && unsafe { libc::fnmatch(pattern.as_ptr(), wanted.as_ptr(), 0) } == 0
        });
        if is_it {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The module that has a name or an alias: in one of the directories `first`, or where `umc build` puts modules. Never a
/// path: who asks is a driver, perhaps with words of its user.
pub fn named(first: &[PathBuf], name: &str) -> Result<Option<PathBuf>> {
    for dir in first.iter().cloned().chain([module_dir()]).filter(|dir| dir.is_dir()) {
        for look in [in_dir, by_alias] {
            if let Some(path) = look(&dir, name)? {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// As [`named`], or else as [`find`].
pub fn find_from(first: &[PathBuf], what: &str) -> Result<PathBuf> {
    named(first, what)?.map_or_else(|| find(what), Ok)
}

fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("read", dir))? {
        let path = entry.map_err(io("read", dir))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The `.ko` files in the directory of a module, its own included: where those that it depends on are looked for first.
pub fn beside(module: &Path) -> Result<Vec<PathBuf>> {
    let dir = module.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    files(dir, "ko")
}

/// Refuses a module that its record says was built for another umc. One without a record may be.
///
/// # Errors
/// [`Error::OtherHeaders`], or [`Error::NoManifest`] where there is a record that cannot be read.
pub fn check_headers(module: &Path) -> Result<()> {
    Manifest::find(module)?.map_or(Ok(()), |manifest| manifest.check_headers(module))
}

/// The module with everything it depends on, in load order. One that was built for another umc is refused.
pub fn load_order(module: &Path) -> Result<Vec<PathBuf>> {
    fn visit(module: &Path, order: &mut Vec<PathBuf>) -> Result<()> {
        if order.iter().any(|seen| seen == module) {
            return Ok(());
        }
        let manifest = Manifest::read(module)?;
        manifest.check_headers(module)?;
        let dir = module.parent().map(Path::to_path_buf);
        for name in manifest.depends {
            let path = named(dir.as_slice(), &name)?.ok_or_else(|| Error::NotBuilt {
                path: module.with_file_name(&name).with_extension("so"),
                name,
            })?;
            visit(&path, order)?;
        }
        order.push(module.to_owned());
        Ok(())
    }
    let mut order = Vec::new();
    visit(module, &mut order)?;
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::{named_after, spelled_alias};

    #[test]
    fn sets_of_characters_are_left_alone() {
        for (alias, spelled) in [
            ("block-major-7-*", "block_major_7_*"),
            ("drive-[0-9]-[a-f-]x-y", "drive_[0-9]_[a-f-]x_y"),
            ("a-[b-c", "a_[b-c"),
        ] {
            assert_eq!(spelled_alias(alias), spelled);
        }
    }

    #[test]
    fn a_set_is_named_after_one_of_its_modules() {
        let modules = ["drbd", "drbd_transport_tcp", "drbd_transport_lb-tcp"];
        let main = |set| named_after(set, modules.into_iter());
        assert_eq!(main("drbd-9.3"), Some("drbd"));
        assert_eq!(main("drbd"), Some("drbd"));
        assert_eq!(main("drbd-transport-lb-tcp.1"), Some("drbd_transport_lb-tcp"));
        assert_eq!(main("brd-9"), None);
    }
}
