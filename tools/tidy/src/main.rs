// SPDX-License-Identifier: GPL-2.0-only
//! Holds the house rules that no compiler knows. `umc-tidy [DIR]` looks at the tree below DIR, or below the current
//! directory, prints a line for each place that breaks one, and fails if there is any.

mod arrows;
mod circles;
mod docs;
mod drivers;
mod exports;
mod heads;
mod safety;
mod source;
mod spdx;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// Below the top of the tree.
    file: PathBuf,
    line: usize,
    /// What is wrong, and what to do.
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Looks at a whole tree.
fn look(top: &Path) -> Result<Vec<Finding>> {
    let files = source::read_tree(top)?;
    let mut findings = Vec::new();
    findings.extend(arrows::floors(&files));
    findings.extend(arrows::crates(&files)?);
    findings.extend(circles::grown(&files));
    findings.extend(spdx::missing(&files));
    findings.extend(heads::incomplete(&files));
    findings.extend(docs::dangling(top, &files));
    findings.extend(drivers::named(&files));
    findings.extend(exports::silent(&files));
    findings.extend(safety::vague(&files));
    Ok(findings)
}

fn main() -> Result<ExitCode> {
    let top = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let findings =
        look(&top).with_context(|| format!("Cannot look at the tree below {}", top.display()))?;
    for finding in &findings {
        println!("{finding}");
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule is shown to find its fault by the tests beside it; this one shows that all of them are asked.
    #[test]
    fn a_tree_with_faults_of_every_kind_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        };
        write("umc/src/lib/tree.rs", "use crate::slab;\nconst NAME: &str = \"see brd\";\n");
        write("umc/src/mm/slab.rs", "#[unsafe(no_mangle)]\npub fn kfree() {}\n");
        let vague = "// SAFETY: the caller's contract.\nunsafe {\n    a();\n    b();\n}\n";
        write("fusefs/src/a.rs", &format!("fn f() {{\n{vague}}}\n"));
        write("umc/Cargo.toml", "[dependencies]\nfusefs.workspace = true\n");
        write("umc/src/sched.rs", "//! One circle: `sched`, `gone`.\n");
        write("docs/page.md", "See `umc/src/gone.rs`.\n");
        let found: Vec<String> =
            look(dir.path()).expect("a tree").iter().map(ToString::to_string).collect();
        for part in [
            "tree.rs:1: `lib` may not use `mm`",
            "Cargo.toml:1: `umc` may not use `fusefs`",
            "slab.rs:1: no SPDX",
            "sched.rs:1: names the circle gone, sched",
            "slab.rs:1: exports C functions",
            "page.md:1: `umc/src/gone.rs` does not exist",
            "tree.rs:2: names the driver `brd`",
            "slab.rs:2: `kfree` is exported",
            "a.rs:2: `the caller's contract.` is all",
        ] {
            assert!(found.iter().any(|line| line.contains(part)), "{part} is not in {found:#?}");
        }
    }
}
