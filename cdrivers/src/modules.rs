//! Finding module files.

use std::path::{Path, PathBuf};

use crate::manifest::Manifest;
use crate::{Error, Result, io, module_dir};

/// `NAME`, or the path of a `.ko` or `.so`, to the shared object that is loaded.
pub fn find(what: &str) -> Result<PathBuf> {
    let path = Path::new(what);
    let path = if what.contains('/') || path.extension().is_some() {
        path.with_extension("so")
    } else {
        module_dir().join(what.replace('-', "_")).with_extension("so")
    };
    if !path.exists() {
        return Err(Error::NotBuilt { path, name: what.into() });
    }
    path.canonicalize().map_err(io("open", &path))
}

/// The module with everything it depends on, in load order.
pub fn load_order(module: &Path) -> Result<Vec<PathBuf>> {
    fn visit(module: &Path, order: &mut Vec<PathBuf>) -> Result<()> {
        if order.iter().any(|seen| seen == module) {
            return Ok(());
        }
        for name in Manifest::read(module)?.depends {
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
