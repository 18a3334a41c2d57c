/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of struct module that belongs to an architecture: nothing here (API of Linux 6.12).
 * Owner: umc/src/module.rs
 */
#ifndef UMC_ASM_MODULE_H
#define UMC_ASM_MODULE_H

/* umc: shared */
struct mod_arch_specific {
};

#define MODULE_ARCH_INIT { }

#endif
