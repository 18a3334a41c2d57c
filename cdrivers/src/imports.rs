// SPDX-License-Identifier: GPL-2.0-only
//! Calls between modules, and variables that they share.
//!
//! Modules are loaded `RTLD_LOCAL`, and each kernel in a process has its own copy of them, so the dynamic linker
//! cannot be the one who binds `drbd` to `lru_cache`. Each function that another module exports becomes a jump through
//! a slot; the slots stand in section `__umc_imports` as pairs {name, address}, which the loader fills from the
//! modules that are loaded in the same kernel.
//!
//! A variable of another module is a weak symbol, which the dynamic linker leaves at zero. Its name stands in section
//! `__umc_variables`; the loader writes its address where the module's own relocations of that name are.

use std::fmt::Write as _;

/// Assembly with a jump and a slot for each function, and the name of each variable, for the machine we run on.
pub fn assembly(functions: &[String], variables: &[String]) -> String {
    let mut text = String::new();
    for name in functions {
        let jump = if cfg!(target_arch = "x86_64") {
            format!("\tjmp *.Lslot_{name}(%rip)\n")
        } else {
            format!("\tadrp x16, .Lslot_{name}\n\tldr x16, [x16, #:lo12:.Lslot_{name}]\n\tbr x16\n")
        };
        let _ = write!(
            text,
            "\t.text\n\t.globl {name}\n\t.hidden {name}\n\t.type {name}, %function\n{name}:\n{jump}\
             \t.size {name}, . - {name}\n\
             \t.section .rodata.str1.1,\"aMS\",%progbits,1\n.Lname_{name}:\n\t.asciz \"{name}\"\n\
             \t.section __umc_imports,\"aw\",%progbits\n\t.balign 8\n\t.quad .Lname_{name}\n.Lslot_{name}:\n\t.quad 0\n"
        );
    }
    for name in variables {
        let _ = write!(text, "\t.section __umc_variables,\"a\",%progbits\n\t.asciz \"{name}\"\n");
    }
    text.push_str("\t.section .note.GNU-stack,\"\",%progbits\n");
    text
}
