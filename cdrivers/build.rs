// SPDX-License-Identifier: GPL-2.0-only
//! Embeds the shim headers and the names of stubs, so that the KDIR can be made anywhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("directory").map(|entry| entry.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|ext| ext == extension) {
            found.push(path);
        }
    }
}

/// The name of the function that a line of Rust defines with C linkage.
fn exported_fn(line: &str) -> Option<&str> {
    let rest = line.split("extern \"C\" fn ").nth(1)?;
    rest.split(['(', '<']).next()
}

fn main() {
    let umc = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("../umc");
    let include = umc.join("include").canonicalize().expect("umc/include");
    println!("cargo:rerun-if-changed={}", include.display());
    println!("cargo:rerun-if-changed={}", umc.join("src").display());

    let mut code = String::from(
        "/// Path below `include/` and text of every shim header.\npub const HEADERS: &[(&str, &str)] = &[\n",
    );
    let mut headers = Vec::new();
    files(&include, "h", &mut headers);
    for header in headers {
        let name = header.strip_prefix(&include).expect("below include");
        writeln!(code, "    ({:?}, include_str!({header:?})),", name.display().to_string())
            .expect("string");
    }
    code.push_str("];\n\n/// Exported functions whose documentation says `Stub:`, and the reason that makes them safe.\npub const STUBS: &[(&str, &str)] = &[\n");

    let mut sources = Vec::new();
    files(&umc.join("src"), "rs", &mut sources);
    for source in sources {
        let text = fs::read_to_string(&source).expect("source");
        let mut reason: Option<String> = None;
        for line in text.lines().map(str::trim) {
            if let Some(found) = line.strip_prefix("/// Stub:") {
                reason = Some(found.trim().to_owned());
            } else if let Some(name) = exported_fn(line)
                && let Some(reason) = reason.take()
            {
                writeln!(code, "    ({name:?}, {reason:?}),").expect("string");
            } else if !line.starts_with("///") && !line.starts_with("#[") && !line.is_empty() {
                reason = None;
            }
        }
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    fs::write(out.join("embedded.rs"), code).expect("OUT_DIR is writable");
}
