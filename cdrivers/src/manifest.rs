// SPDX-License-Identifier: GPL-2.0-only
//! Where a module came from: `NAME.json` beside `NAME.ko` and `NAME.so`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, io};

/// The record of one build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The module.
    pub name: String,
    /// The catalogue driver it was built as, if any.
    pub driver: Option<String>,
    /// The Debian package of its source.
    pub package: Option<String>,
    /// The version of that package when it was built.
    pub package_version: Option<String>,
    /// The directory it was built in, with the source it was built from.
    pub built_in: PathBuf,
    /// Modules that have to be loaded first.
    pub depends: Vec<String>,
}

impl Manifest {
    fn path(module: &Path) -> PathBuf {
        module.with_extension("json")
    }

    /// Writes the record of the module file `module`.
    pub fn write(&self, module: &Path) -> Result<()> {
        let path = Manifest::path(module);
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        fs::write(&path, text).map_err(io("write", &path))
    }

    /// Reads the record of the module file `module`.
    pub fn read(module: &Path) -> Result<Manifest> {
        let record = Manifest::path(module);
        fs::read_to_string(&record)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|cause| Error::NoManifest { path: module.into(), record, cause })
    }
}
