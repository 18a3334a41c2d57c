// SPDX-License-Identifier: GPL-2.0-only
//! The KDIR that drivers are built against, and the catalogue of drivers that are known by name.
//!
//! [`catalogue`] says which files of which Debian package a driver consists of; [`package`] unpacks them into a cache,
//! never patched; [`kdir`] makes the directory for `make -C KDIR M=… modules` out of our shim headers and Debian's
//! kbuild package; [`kbuild`] runs Kbuild and links each `NAME.ko` to a `NAME.so`; [`symbols`] is the ledger of what a
//! module needs; [`manifest`] records where a module came from.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

pub mod catalogue;
pub mod imports;
pub mod kbuild;
pub mod kdir;
pub mod manifest;
pub mod modules;
pub mod package;
pub mod symbols;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

use std::path::{Path, PathBuf};

/// What can go wrong between a driver's name and its module file. Each text names object, cause and next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no driver is called \"{name}\" in the catalogue ({known}), and no directory either. Name one of them, or a directory with a Kbuild file."
    )]
    UnknownDriver { name: String, known: String },
    #[error(
        "package {package} is not installed: {missing} is missing. Install it: apt-get install {package}"
    )]
    PackageMissing { package: String, missing: String },
    #[error("Cannot {operation} {path}: {source}.")]
    Io { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "{path}: the package's archive has no such member: {member}. Is it another version of the package?"
    )]
    MemberMissing { path: PathBuf, member: String },
    #[error("{command} failed:\n{output}")]
    Command { command: String, output: String },
    #[error("{path}: not a kernel module: {reason}. Build it with umc build.")]
    NotAModule { path: PathBuf, reason: String },
    #[error("{path}: no such module file. Build it first: umc build {name}")]
    NotBuilt { path: PathBuf, name: String },
    #[error(
        "{path}: no such module file. umc build DIR makes it, in a directory with a Kbuild file."
    )]
    NoSuchFile { path: PathBuf },
    #[error("Cannot build a set of modules called {name}: {reason}.")]
    BadSet { name: String, reason: String },
    #[error(
        "Cannot load module {name}: {path} was built with the headers of another umc. Build it again: umc build {what}"
    )]
    OtherHeaders { name: String, path: PathBuf, what: String },
    #[error(
        "{path} has no record of where it came from ({record}: {cause}). Build it again with umc build."
    )]
    NoManifest { path: PathBuf, record: PathBuf, cause: String },
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds operation and path to an I/O error.
pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { operation, path, source }
}

/// Where sources, KDIRs and modules are kept: `$UMC_CACHE_DIR`, `/var/cache/umc` for root, else
/// `$XDG_CACHE_HOME/umc` or `~/.cache/umc`.
pub fn cache_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("UMC_CACHE_DIR") {
        return dir.into();
    }
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } == 0 {
        return "/var/cache/umc".into();
    }
    match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) => PathBuf::from(dir).join("umc"),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/umc"),
    }
}

/// Where `umc build` leaves `NAME.ko` and `NAME.so` of catalogue drivers, and `umc insmod` looks for them.
pub fn module_dir() -> PathBuf {
    cache_dir().join("modules")
}
