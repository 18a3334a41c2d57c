// SPDX-License-Identifier: GPL-2.0-only
//! The ledger: what a module needs, and who has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use crate::{Error, Result, embedded, io};

/// Names that mean the same in libc and in Linux: a driver's call lands in libc.
const FROM_LIBC: &str = include_str!("../../umc/src/module/libc-symbols.txt");

/// Made by the linker for position-independent code, or the compiler's own library, which is linked into the module.
const FROM_TOOLCHAIN: &[&str] = &[
    "_GLOBAL_OFFSET_TABLE_",
    "__popcountdi2",
    "__popcountsi2",
    "__clzdi2",
    "__ctzdi2",
    "__divti3",
    "__udivti3",
    "__umodti3",
];

/// What stands behind a symbol that a module needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// A function or object of the emulated kernel.
    Implemented,
    /// The C library, where it means the same.
    Libc,
    /// A function of the emulated kernel that does nothing, and why that is safe.
    Stub(&'static str),
    /// Another module, which has to be loaded first.
    Module(String),
    /// Nobody.
    Missing,
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<object::File<'a>> {
    object::File::parse(bytes)
        .map_err(|error| Error::NotAModule { path: path.into(), reason: error.to_string() })
}

/// Every name that drivers can link to: what `umcd` exports under a C name, and libc's share.
pub fn kernel_exports(umcd: &Path) -> Result<BTreeSet<String>> {
    let bytes = fs::read(umcd).map_err(io("read", umcd))?;
    let file = parse(umcd, &bytes)?;
    Ok(file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| !name.starts_with("_ZN") && !name.starts_with("_R"))
        .chain(FROM_LIBC.lines())
        .chain(FROM_TOOLCHAIN.iter().copied())
        .map(str::to_owned)
        .collect())
}

/// The undefined symbols of a module file.
pub fn undefined(module: &Path) -> Result<BTreeSet<String>> {
    let bytes = fs::read(module).map_err(io("read", module))?;
    let file = parse(module, &bytes)?;
    Ok(file
        .symbols()
        .filter(|symbol| symbol.is_undefined() && !symbol.is_weak())
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| !name.is_empty() && !FROM_TOOLCHAIN.contains(name))
        .map(str::to_owned)
        .collect())
}

/// `key=value` pairs of a module's `.modinfo`.
pub fn modinfo(module: &Path) -> Result<Vec<(String, String)>> {
    let bytes = fs::read(module).map_err(io("read", module))?;
    let file = parse(module, &bytes)?;
    let section = file.section_by_name(".modinfo").ok_or_else(|| Error::NotAModule {
        path: module.into(),
        reason: "it has no .modinfo section".into(),
    })?;
    let data = section
        .data()
        .map_err(|error| Error::NotAModule { path: module.into(), reason: error.to_string() })?;
    Ok(data
        .split(|byte| *byte == 0)
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// What EXPORT_SYMBOL puts before a name, see `umc/include/linux/export.h`.
const EXPORT_LABEL: &str = "__export_symbol_";

/// A symbol that a module exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The module's name.
    pub module: String,
    /// Whether it is a variable, and no function.
    pub is_data: bool,
}

/// Symbols that the modules export: what the files themselves say.
pub fn module_exports<'a>(
    modules: impl IntoIterator<Item = &'a Path>,
) -> Result<BTreeMap<String, Export>> {
    let mut exports = BTreeMap::new();
    for module in modules {
        let name = module.file_stem().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(module).map_err(io("read", module))?;
        let file = parse(module, &bytes)?;
        let variables: BTreeSet<&str> = file
            .symbols()
            .filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Data)
            .filter_map(|symbol| symbol.name().ok())
            .collect();
        let labels = file.symbols().filter_map(|symbol| symbol.name().ok());
        for export in labels.filter_map(|label| label.strip_prefix(EXPORT_LABEL)) {
            let (module, is_data) = (name.clone().into_owned(), variables.contains(export));
            exports.insert(export.to_owned(), Export { module, is_data });
        }
    }
    Ok(exports)
}

/// The ledger of one module: each undefined symbol and its provider.
pub fn ledger(
    module: &Path,
    kernel: &BTreeSet<String>,
    modules: &BTreeMap<String, Export>,
) -> Result<Vec<(String, Provider)>> {
    let stub = |name: &str| embedded::STUBS.iter().find(|(stub, _)| *stub == name);
    Ok(undefined(module)?
        .into_iter()
        .map(|name| {
            let provider = if let Some((_, reason)) = stub(&name) {
                Provider::Stub(reason)
            } else if FROM_LIBC.lines().any(|known| known == name) {
                Provider::Libc
            } else if kernel.contains(&name) {
                Provider::Implemented
            } else if let Some(module) = modules.get(&name) {
                Provider::Module(module.module.clone())
            } else {
                Provider::Missing
            };
            (name, provider)
        })
        .collect())
}
