// SPDX-License-Identifier: GPL-2.0-only
//! Finding module files.

use std::path::{Path, PathBuf};

use crate::manifest::Manifest;
use crate::{Error, Result, io, module_dir};

/// `NAME`, or the path of a `.ko` or `.so`, to the shared object that is loaded.
pub fn find(what: &str) -> Result<PathBuf> {
    let path = Path::new(what);
    let is_file = what.contains('/') || path.extension().is_some();
    let path = match is_file {
        true => path.with_extension("so"),
        false => module_dir().join(what.replace('-', "_")).with_extension("so"),
    };
    match path.exists() {
        true => {}
        false if is_file => return Err(Error::NoSuchFile { path }),
        false => return Err(Error::NotBuilt { path, name: what.into() }),
    }
    path.canonicalize().map_err(io("open", &path))
}

/// The `.ko` files in the directory of a module, its own included: where those that it depends on are looked for first.
pub fn beside(module: &Path) -> Result<Vec<PathBuf>> {
    let dir = module.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io("read", dir))? {
        let path = entry.map_err(io("read", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Refuses a module that its record says was built for another umc. One without a record may be.
///
/// # Errors
/// [`Error::OtherHeaders`].
pub fn check_headers(module: &Path) -> Result<()> {
    Manifest::read(module).map_or(Ok(()), |manifest| manifest.check_headers(module))
}

/// The module with everything it depends on, in load order. One that was built for another umc is refused.
pub fn load_order(module: &Path) -> Result<Vec<PathBuf>> {
    fn visit(module: &Path, order: &mut Vec<PathBuf>) -> Result<()> {
        if order.iter().any(|seen| seen == module) {
            return Ok(());
        }
        let manifest = Manifest::read(module)?;
        manifest.check_headers(module)?;
        for name in manifest.depends {
            let beside = module.with_file_name(&name).with_extension("so");
            let path = if beside.exists() { beside } else { find(&name)? };
            visit(&path, order)?;
        }
        order.push(module.to_owned());
        Ok(())
    }
    let mut order = Vec::new();
    visit(module, &mut order)?;
    Ok(order)
}
