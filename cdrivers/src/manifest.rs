// SPDX-License-Identifier: GPL-2.0-only
//! Where a module came from: `NAME.json` beside `NAME.ko` and `NAME.so`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

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
        fs::write(&path, text).map_err(crate::io("write", &path))
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
    ///
    /// # Errors
    /// [`Error::NoManifest`], also when there is none.
    pub fn read(module: &Path) -> Result<Manifest> {
        Manifest::read_from(&Manifest::path(module)).map_err(|error| no_manifest(module, error))
    }

    /// The same, or None when there is none.
    ///
    /// # Errors
    /// [`Error::NoManifest`].
    pub fn find(module: &Path) -> Result<Option<Manifest>> {
        match Manifest::read_from(&Manifest::path(module)) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(no_manifest(module, error)),
        }
    }

    fn read_from(record: &Path) -> io::Result<Manifest> {
        Ok(serde_json::from_str(&fs::read_to_string(record)?)?)
    }
}

fn no_manifest(module: &Path, error: io::Error) -> Error {
    Error::NoManifest {
        path: module.into(),
        record: Manifest::path(module),
        cause: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("x.so");
        let check = || crate::modules::check_headers(&module);
        check().unwrap();
        for text in ["", "{", r#"{"name":"x"}"#, "\u{1}"] {
            fs::write(dir.path().join("x.json"), text).unwrap();
            let error = check().unwrap_err().to_string();
            assert!(error.contains("x.json: "), "{text:?}: {error}");
        }
        fs::remove_file(dir.path().join("x.json")).unwrap();
        fs::create_dir(dir.path().join("x.json")).unwrap();
        assert!(check().unwrap_err().to_string().contains("Is a directory"));
    }

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
