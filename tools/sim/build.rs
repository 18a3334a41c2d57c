// SPDX-License-Identifier: GPL-2.0-only
//! `umcd` is the kernel that modules link to: every exported function has to be in its dynamic symbol table.

fn main() {
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    println!("cargo:rerun-if-changed=build.rs");
}
