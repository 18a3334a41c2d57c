// SPDX-License-Identifier: GPL-2.0-only
//! Arrows go down only: between crates, and between the floors of the emulated kernel.
//!
//! A floor is a folder of `umc/src`, with the file of the same name if there is one. Floors above each other form no
//! circle, so what circles there are lie within one floor.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Finding;
use crate::source::{File, rust};

/// The floors, and which others each of them may use.
const FLOORS: [(&str, &[&str]); 9] = [
    ("lib", &[]),
    ("sched", &["lib"]),
    ("sync", &["lib", "sched"]),
    ("mm", &["lib", "sched", "sync"]),
    ("module", &["lib", "sched", "sync", "mm"]),
    ("fs", &["lib", "sched", "sync", "mm", "module"]),
    ("net", &["lib", "sched", "sync", "mm", "module", "fs"]),
    ("netlink", &["lib", "sched", "sync", "mm", "module", "fs", "net"]),
    ("block", &["lib", "sched", "sync", "mm", "module", "fs"]),
];

/// What every floor may use: the errors, the layouts, and the root that holds everybody's state.
const EVERYBODYS: [&str; 3] = ["errno", "sys", "kernel"];

/// The crates of the workspace by folder, and which others each may use besides in its tests. Tools may use what is
/// public of any.
const CRATES: [(&str, &[&str]); 8] = [
    ("mte", &[]),
    ("umc", &["mte"]),
    ("cdrivers", &["umc"]),
    ("handlers", &["umc", "mte", "handler_abi", "handler_ram", "handler_file"]),
    ("handlers/abi", &[]),
    ("handlers/ram", &["handler_abi"]),
    ("handlers/file", &["handler_abi"]),
    ("fusefs", &["umc", "mte", "umc-protocol"]),
];

/// The crates that the table above speaks of, by the names they have for each other.
const OURS: [&str; 9] = [
    "mte",
    "umc",
    "cdrivers",
    "handlers",
    "handler_abi",
    "handler_ram",
    "handler_file",
    "fusefs",
    "umc-protocol",
];

/// The floor that a file of `umc/src` is on.
fn floor_of(path: &Path) -> Option<&'static str> {
    let first = path.strip_prefix("umc/src").ok()?.iter().next()?.to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    FLOORS.iter().map(|(floor, _)| *floor).find(|floor| *floor == name)
}

/// Which floor a name below `crate::` means: a floor itself, or a module that the root shows by its own name.
pub fn homes(files: &[File]) -> HashMap<String, &'static str> {
    let mut homes: HashMap<String, &'static str> =
        FLOORS.iter().map(|(floor, _)| ((*floor).to_owned(), *floor)).collect();
    for file in files.iter().filter(|file| file.is("rs")) {
        let Some(floor) = floor_of(&file.path) else { continue };
        let is_module = file.path.iter().count() == 4; // umc/src/FLOOR/MODULE.rs
        let name = file.path.file_stem().and_then(|stem| stem.to_str());
        if let Some(name) = name.filter(|name| is_module && *name != "tests") {
            homes.entry(name.to_owned()).or_insert(floor);
        }
    }
    homes
}

/// The paths that follow `crate::`, their first two names, each with its line.
pub fn used(code: &str) -> Vec<(usize, String)> {
    let word = |text: &str| -> String {
        let is_path = |c: &char| c.is_alphanumeric() || *c == '_' || *c == ':';
        let path: String = text.chars().take_while(is_path).collect();
        path.split("::").take(2).collect::<Vec<_>>().join("::")
    };
    let mut found = Vec::new();
    for (at, begin) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + begin.len()..];
        if !rest.starts_with('{') {
            found.push((line, word(rest)));
            continue;
        }
        let (mut depth, mut name_is_next) = (0, false);
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && (c == ',' || c == '{') {
                name_is_next = true;
            } else if name_is_next && !c.is_whitespace() {
                found.push((line, word(&rest[at..])));
                name_is_next = false;
            }
        }
    }
    found
}

/// Arrows between floors that go up.
pub fn floors(files: &[File]) -> Vec<Finding> {
    let homes = homes(files);
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is("rs") && !file.is_test()) {
        let Some(floor) = floor_of(&file.path) else { continue };
        let below =
            FLOORS.iter().find(|(name, _)| *name == floor).map_or(&[][..], |(_, below)| below);
        for (line, path) in used(&rust(&file.text).code) {
            let name = path.split("::").next().unwrap_or_default().to_owned();
            let Some(target) = homes.get(&name).filter(|_| !EVERYBODYS.contains(&name.as_str()))
            else {
                continue;
            };
            if *target != floor && !below.contains(target) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line,
                    what: format!(
                        "`{floor}` may not use `{target}` (`{name}`): arrows go down only. Move what is needed down, or \
                         let the floor above register it"
                    ),
                });
            }
        }
    }
    findings
}

/// Arrows between crates that the table does not have.
pub fn crates(files: &[File]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (folder, allowed) in CRATES {
        let path = Path::new(folder).join("Cargo.toml");
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        let manifest: toml::Table =
            file.text.parse().with_context(|| file.path.display().to_string())?;
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for name in dependencies.into_iter().flat_map(toml::Table::keys) {
            if OURS.contains(&name.as_str()) && !allowed.contains(&name.as_str()) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line: 1,
                    what: format!("`{folder}` may not use `{name}`: see docs/architecture.md"),
                });
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn an_arrow_up_is_found_wherever_it_is_written() {
        let files = [
            file("umc/src/mm/slab.rs", ""),
            file("umc/src/sched.rs", "use crate::{Kernel,\n    slab::{self, x}, sys};"),
            file(
                "umc/src/lib/tree.rs",
                "fn f() { crate::mm::gfp::KERNEL; crate::kernel::Kernel; }",
            ),
            file("umc/src/mm/idr.rs", "use crate::{sched, slab};"),
            file("umc/src/lib/tree/tests.rs", "use crate::slab;"),
        ];
        let found: Vec<String> = floors(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("umc/src/sched.rs:1: `sched` may not use `mm`"), "{found:?}");
        assert!(found[1].starts_with("umc/src/lib/tree.rs:1: `lib` may not use `mm`"), "{found:?}");
    }

    #[test]
    fn a_crate_uses_those_below() {
        let files = [
            file(
                "umc/Cargo.toml",
                "[dependencies]\nmte.workspace = true\nfusefs.workspace = true\n",
            ),
            file("fusefs/Cargo.toml", "[dependencies]\numc.workspace = true\n"),
        ];
        let found = crates(&files).expect("manifests");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].what.starts_with("`umc` may not use `fusefs`"), "{found:?}");
    }
}
