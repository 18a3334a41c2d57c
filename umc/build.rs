//! Binds the shim headers to `umc::sys` and compiles the C-variadic glue.
//!
//! The headers are the only source of a layout: every header under `include/` is bound, types and constants only.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The flags a driver is compiled with, as far as they matter for a layout.
const KERNEL_FLAGS: &[&str] = &["-nostdinc", "-D__KERNEL__", "-DMODULE", "-DUMC_BINDGEN", "-std=gnu11", "-fshort-wchar"];

fn headers(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("include directory").map(|entry| entry.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            headers(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "h") {
            found.push(path);
        }
    }
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

    let bindings = bindgen::Builder::default()
        .header_contents("umc_all.h", &all)
        .clang_args(KERNEL_FLAGS)
        .clang_arg(format!("-I{}", include.display()))
        .clang_arg(format!("-I{}", include.join("uapi").display()))
        .clang_args(["-include", "linux/kconfig.h", "-include", "linux/compiler_types.h"])
        .clang_arg("-Wno-everything")
        .use_core()
        .derive_default(true)
        .layout_tests(false)
        .generate_comments(false)
        .prepend_enum_name(false)
        .ignore_functions()
        .generate()
        .expect("the shim headers can be bound");
    bindings.write_to_file(out.join("sys.rs")).expect("OUT_DIR is writable");

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
    // Whole archive: drivers call these functions, Rust does not.
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static:+whole-archive=umc_glue");
}
