// SPDX-License-Identifier: GPL-2.0-only
//! Compiles the variadic log functions of libtcmu and lets the tests export the handler ABI.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=glue");
    let out = env::var("OUT_DIR").expect("set by cargo");
    cc::Build::new()
        .file("glue/log.c")
        .flag("-std=gnu11")
        .flag("-fno-lto")
        .warnings(true)
        .cargo_metadata(false)
        .compile("handlers_glue");
    // Whole archive: handlers call these functions, Rust does not.
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static:+whole-archive=handlers_glue");
    // Handlers find the ABI in the executable that loads them.
    println!("cargo:rustc-link-arg-tests=-rdynamic");
    println!("cargo:rustc-link-arg-bins=-rdynamic");
}
