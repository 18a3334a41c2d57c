// SPDX-License-Identifier: GPL-2.0-only
//! A module of the emulated kernel that exports C functions says which header it is the Rust side of, what it keeps of
//! Linux's guarantees and what not, and who needs it.

use std::path::{Path, PathBuf};

use crate::Finding;
use crate::source::File;

const PARTS: [&str; 4] = ["C header:", "Guarantees kept:", "Differs from Linux:", "Used by"];

/// What is missing in the doc at the head of a file.
fn missing(text: &str) -> Vec<&'static str> {
    let head: String =
        text.lines().filter(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
    PARTS.into_iter().filter(|part| !head.contains(part)).collect()
}

/// The file that declares the module of `path`.
fn parent(path: &Path) -> Option<PathBuf> {
    Some(path.parent()?.with_extension("rs"))
}

/// Modules with an incomplete head. The doc of a part (`wait/abi.rs`) is that of its module (`wait.rs`).
pub fn incomplete(files: &[File]) -> Vec<Finding> {
    let text = |path: &Path| files.iter().find(|file| file.path == path).map(|file| &file.text);
    files
        .iter()
        .filter(|file| file.is("rs") && file.is_below("umc/src") && file.text.contains("no_mangle"))
        .filter_map(|file| {
            let own = missing(&file.text);
            let of_module = parent(&file.path).and_then(|path| text(&path)).map(|text| missing(text));
            let complete = own.is_empty() || of_module.is_some_and(|parts| parts.is_empty());
            (!complete).then(|| Finding {
                file: file.path.clone(),
                line: 1,
                what: format!(
                    "exports C functions, and its head has no paragraph {}. See docs/umc-modules.md",
                    own.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(", ")
                ),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_the_head_of_its_module() {
        let head = "//! X.\n//! C header: a\n//! Guarantees kept: b\n//! Differs from Linux: c\n//! Used by DRBD for: d\n";
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [
            file("umc/src/sync/wait.rs", head),
            file("umc/src/sync/wait/abi.rs", "#[unsafe(no_mangle)]"),
            file("umc/src/sync/mutex.rs", "//! C header: a\n#[unsafe(no_mangle)]"),
            file("umc/src/sync/private.rs", "//! Nothing exported."),
        ];
        let found = incomplete(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].what.contains("`Guarantees kept:`") && !found[0].what.contains("`C header:`")
        );
    }
}
