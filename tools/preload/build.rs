// SPDX-License-Identifier: GPL-2.0-only
//! Compiles the functions that only C can define.

fn main() {
    println!("cargo:rerun-if-changed=src/variadic.c");
    cc::Build::new().file("src/variadic.c").warnings_into_errors(true).compile("umc_variadic");
}
