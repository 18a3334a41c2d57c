// SPDX-License-Identifier: GPL-2.0-only
//! Compiles the functions that only C can define, and writes the rows of the drivers in the catalogue.

use std::path::PathBuf;
use std::{env, fs};

use cdrivers::catalogue::DRIVERS;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/variadic.c");
    cc::Build::new().file("src/variadic.c").warnings_into_errors(true).compile("umc_variadic");

    let names = DRIVERS.iter().flat_map(|driver| driver.names);
    // The owners have the names that `names.rs` gives them.
    let rows: Vec<String> = names
        .map(|names| format!("row({:?}, &{:?}, {:?})", names.dir, names.names, names.owner))
        .collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("drivers.rs"), format!("&[{}]", rows.join(", ")))
        .expect("OUT_DIR is writable");
}
