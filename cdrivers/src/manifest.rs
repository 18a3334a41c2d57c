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
    /// What it was compiled with, as [`crate::kdir::headers`] names it; none in records of old.
    #[serde(default)]
    pub headers: Option<String>,
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

    /// Whether a node of this program may load the module. Structs have other members with other headers.
    ///
    /// # Errors
    /// [`Error::OtherHeaders`].
    pub fn check_headers(&self, module: &Path) -> Result<()> {
        match &self.headers {
            Some(headers) if headers != crate::kdir::headers() => Err(Error::OtherHeaders {
                name: self.name.clone(),
                path: module.into(),
                what: self.driver.clone().unwrap_or_else(|| self.built_in.display().to_string()),
            }),
            _ => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_for_other_headers_is_refused() {
        let mut record = Manifest {
            name: "drbd".into(),
            driver: Some("drbd".into()),
            package: None,
            package_version: None,
            built_in: "/src".into(),
            headers: Some(crate::kdir::headers().into()),
            depends: Vec::new(),
        };
        let module = Path::new("/modules/drbd.so");
        record.check_headers(module).unwrap();
        record.headers = Some("0".into());
        let text = record.check_headers(module).unwrap_err().to_string();
        assert!(text.ends_with("umc build drbd"), "{text}");
        record.driver = None;
        let text = record.check_headers(module).unwrap_err().to_string();
        assert!(text.ends_with("umc build /src"), "{text}");
        // Records of old do not say.
        record.headers = None;
        record.check_headers(module).unwrap();
        let old = r#"{"name":"x","driver":null,"package":null,"package_version":null,"built_in":"/","depends":[]}"#;
        assert_eq!(serde_json::from_str::<Manifest>(old).unwrap().headers, None);
    }
}
