// SPDX-License-Identifier: GPL-2.0-only
//! What a handler file says about itself, before any of its code runs.
//!
//! The handler ABI has no version: a handler of tcmu-runner 1.4 has `read` where 1.5 has `write`. The symbols that a
//! file imports tell the old ones apart, and missing ones are named all at once, where `dlopen` names the first.

use std::fs;
use std::path::Path;

use dlopen2::raw::Library;
use object::read::elf::{Dyn, ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSymbol, elf};

use crate::error::{Error, Kind};

/// The dynamic linker's view of a file.
struct Dynamic {
    /// Undefined symbols that must be found.
    imports: Vec<String>,
    /// Libraries it asks for.
    needed: Vec<String>,
    /// It defines `handler_init`.
    has_init: bool,
}

/// Imports that give away an older ABI, and which.
const FOREIGN: &[(&str, &str)] = &[
    ("tcmu_get_dev_", "1.4 or older"),
    ("tcmu_set_dev_", "1.4 or older"),
    ("tcmur_handle_caw", "1.5.0 to 1.5.3"),
    ("tcmur_handle_writesame", "1.5.0 to 1.5.3"),
];

const REBUILD: &str = "Rebuild the handler against the headers of tcmu-runner 1.5.4 or later.";

/// Reads a handler file and judges whether it can be loaded.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let fail = |kind, cause: String, next: &str| {
        Err(Error::new(kind, "load handler", path.display(), cause, next))
    };
    let data = match fs::read(path) {
        Ok(data) => data,
        Err(error) => {
            let next = match error.kind() {
                std::io::ErrorKind::PermissionDenied => "Check the file's mode.",
                _ => "Check the path.",
            };
            return fail(Kind::Unreadable, error.to_string(), next);
        }
    };
    let dynamic = match parse(&data) {
        Ok(dynamic) => dynamic,
        Err(cause) => {
            return fail(Kind::NotElf, cause, "A handler is a shared object for x86-64.");
        }
    };
    for (prefix, version) in FOREIGN {
        if let Some(symbol) = dynamic.imports.iter().find(|name| name.starts_with(prefix)) {
            let cause = format!(
                "it imports {symbol}, so it was built for tcmu-runner {version}, \
                 whose handler ABI is another one"
            );
            return fail(Kind::ForeignAbi, cause, REBUILD);
        }
    }
    if !dynamic.has_init {
        let next = "A handler defines handler_init() and calls tcmur_register_handler() in it.";
        return fail(Kind::NoHandlerInit, "it does not define handler_init".into(), next);
    }
    let missing = missing(&dynamic);
    if !missing.is_empty() {
        let cause = format!("nobody provides {}", missing.join(", "));
        let next = if missing.iter().any(|name| name.starts_with("tcmu")) {
            REBUILD
        } else {
            "Link the handler to the library that defines them."
        };
        return fail(Kind::MissingSymbols, cause, next);
    }
    Ok(())
}

fn parse(data: &[u8]) -> Result<Dynamic, String> {
    let file: ElfFile64<'_, Endianness> =
        ElfFile64::parse(data).map_err(|_| "it is not a 64-bit ELF file".to_owned())?;
    let header = file.elf_header();
    let endian = file.endian();
    if header.e_machine(endian) != elf::EM_X86_64 || header.e_type(endian) != elf::ET_DYN {
        return Err("it is not a shared object for x86-64".to_owned());
    }
    let mut dynamic = Dynamic { imports: Vec::new(), needed: Vec::new(), has_init: false };
    for symbol in file.dynamic_symbols() {
        let name = symbol.name().map_err(|error| error.to_string())?;
        if symbol.is_undefined() && !symbol.is_weak() && !name.is_empty() {
            dynamic.imports.push(name.to_owned());
        } else if symbol.is_definition() && name == "handler_init" {
            dynamic.has_init = true;
        }
    }
    let sections = file.elf_section_table();
    if let Some((entries, link)) =
        sections.dynamic(endian, data).map_err(|error| error.to_string())?
    {
        let strings = sections.strings(endian, data, link).map_err(|error| error.to_string())?;
        for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(elf::DT_NEEDED)) {
            let name = entry.string(endian, strings).map_err(|error| error.to_string())?;
            dynamic.needed.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Ok(dynamic)
}

/// The imports that neither this process nor the file's libraries define. None, when a library cannot be opened from
/// here (it may be found through the file's own run path): the dynamic linker has the last word then.
fn missing(dynamic: &Dynamic) -> Vec<&str> {
    let Ok(own) = Library::open_self() else { return Vec::new() };
    let mut missing: Vec<&str> =
        dynamic.imports.iter().map(String::as_str).filter(|name| !defines(&own, name)).collect();
    if missing.is_empty() {
        return missing;
    }
    for needed in &dynamic.needed {
        let flags = Some(libc::RTLD_LAZY | libc::RTLD_LOCAL);
        let Ok(library) = Library::open_with_flags(needed, flags) else { return Vec::new() };
        missing.retain(|name| !defines(&library, name));
        // Never closed: some libraries start threads, and the handler loads it again in a moment.
        std::mem::forget(library);
    }
    missing
}

fn defines(library: &Library, name: &str) -> bool {
    // SAFETY: only the presence of the symbol is of interest; nothing is read through it.
    unsafe { library.symbol::<*const u8>(name) }.is_ok()
}
