/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The initial RAM disk (6.12): there is none. brd declares its parameter here.
 * Rust: none.
 */
#ifndef UMC_LINUX_INITRD_H
#define UMC_LINUX_INITRD_H

extern unsigned long rd_size;

#endif
