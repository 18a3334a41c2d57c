// SPDX-License-Identifier: GPL-2.0-only
//! Binds the shim headers to `umc::sys` and compiles the C-variadic glue.
//!
//! The headers are the only source of a layout: every header under `include/` is bound, types and constants only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The flags a driver is compiled with, as far as they matter for a layout.
const KERNEL_FLAGS: &[&str] =
    &["-nostdinc", "-D__KERNEL__", "-DMODULE", "-DUMC_BINDGEN", "-std=gnu11", "-fshort-wchar"];

fn headers(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .expect("include directory")
        .map(|entry| entry.expect("entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            headers(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "h") {
            found.push(path);
        }
    }
}

/// For every exported Rust function that has a C prototype: an assignment that compiles only if both have one type.
fn check_signatures(src: &Path, prototypes: &str, checks: &mut String) {
    let plain = prototypes.replace("->", "");
    let declared: HashMap<&str, usize> = plain
        .split("pub fn ")
        .skip(1)
        .filter_map(|text| {
            let (name, rest) = text.split_once('(')?;
            // Arguments are the `name: type` pairs outside of nested brackets; a C-variadic has none in Rust.
            let (mut depth, mut count) = (0, 0);
            for pair in rest.as_bytes().windows(2) {
                match pair[0] {
                    b'(' | b'<' | b'[' => depth += 1,
                    b')' if depth == 0 => break,
                    b')' | b'>' | b']' => depth -= 1,
                    b':' if depth == 0 && pair[1].is_ascii_whitespace() => count += 1,
                    b'.' if depth == 0 => return None,
                    _ => {}
                }
            }
            Some((name.trim(), count))
        })
        .collect();
    let mut sources = Vec::new();
    rust_sources(src, &mut sources);
    for source in sources {
        println!("cargo:rerun-if-changed={}", source.display());
        let path = source.strip_prefix(src).expect("below src").with_extension("");
        let module = path.to_string_lossy().replace('/', "::");
        let text = fs::read_to_string(&source).expect("source");
        for line in text.lines() {
            let Some(rest) = line.split("extern \"C\" fn ").nth(1) else { continue };
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if let Some(count) = declared.get(name).filter(|_| line.starts_with("pub ")) {
                let args = vec!["_"; *count].join(", ");
                checks.push_str(&format!(
                    "    let _ = [crate::{module}::{name} as unsafe extern \"C\" fn({args}) -> _, prototypes::{name}];\n"
                ));
            }
        }
    }
}

fn rust_sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("directory") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            rust_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The macros of the headers as functions, for `tests/model`: compiled as a driver is, linked by that test only.
fn compile_model_macros(root: &Path) {
    println!("cargo:rerun-if-changed=tests/model/macros.c");
    let mut build = cc::Build::new();
    KERNEL_FLAGS.iter().filter(|flag| **flag != "-DUMC_BINDGEN").for_each(|flag| {
        build.flag(flag);
    });
    build
        .file(root.join("tests/model/macros.c"))
        .include(root.join("include"))
        .include(root.join("include/uapi"))
        .flag("-includelinux/kconfig.h")
        .flag("-includelinux/compiler_types.h")
        .flag("-fno-strict-aliasing")
        .warnings(true)
        .extra_warnings(false)
        .cargo_metadata(false)
        .compile("umc_model");
}

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    let include = root.join("include");
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rerun-if-changed=glue");
    println!("cargo:include={}", include.display());

    let mut found = Vec::new();
    headers(&include, &mut found);
    let mut all = String::new();
    for header in &found {
        let text = fs::read_to_string(header).expect("header");
        if text.contains("/* umc: not bound */") {
            continue;
        }
        let name = header.strip_prefix(&include).expect("below include");
        all.push_str(&format!("#include <{}>\n", name.display()));
    }

    let builder = bindgen::Builder::default()
        .header_contents("umc_all.h", &all)
        .clang_args(KERNEL_FLAGS)
        .clang_arg(format!("-I{}", include.display()))
        .clang_arg(format!("-I{}", include.join("uapi").display()))
        .clang_args(["-include", "linux/kconfig.h", "-include", "linux/compiler_types.h"])
        .clang_arg("-Wno-everything")
        .use_core()
        .layout_tests(true)
        .generate_comments(false)
        .prepend_enum_name(false);
    let types = builder.clone().derive_default(true).ignore_functions().generate();
    let sys = types.expect("the shim headers can be bound");
    sys.write_to_file(out.join("sys.rs")).expect("OUT_DIR is writable");

    let functions = builder.with_codegen_config(bindgen::CodegenConfig::FUNCTIONS).generate();
    let prototypes = functions.expect("the shim headers can be bound").to_string();
    let mut checks = String::from("fn signatures() {\n");
    check_signatures(&root.join("src"), &prototypes, &mut checks);
    checks.push_str("}\n");
    fs::write(out.join("prototypes.rs"), prototypes).expect("OUT_DIR is writable");
    fs::write(out.join("signatures.rs"), checks).expect("OUT_DIR is writable");

    let glue: Vec<PathBuf> = fs::read_dir(root.join("glue"))
        .expect("glue directory")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "c"))
        .collect();
    cc::Build::new()
        .files(&glue)
        .flag("-std=gnu11")
        .warnings(true)
        .cargo_metadata(false)
        .compile("umc_glue");
    compile_model_macros(&root);
    // Whole archive: drivers call these functions, Rust does not.
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static:+whole-archive=umc_glue");
}
