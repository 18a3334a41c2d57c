/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * READ_ONCE and WRITE_ONCE: one access that the compiler neither repeats, tears nor drops (API of 6.12).
 * Rust owner: none. Rust code uses `core::sync::atomic` on the same words.
 */
#ifndef UMC_ASM_RWONCE_H
#define UMC_ASM_RWONCE_H

#include <linux/compiler_types.h>

#define __READ_ONCE(x) (*(const volatile __unqual_scalar_typeof(x) *)&(x))
#define READ_ONCE(x) __READ_ONCE(x)
#define READ_ONCE_NOCHECK(x) __READ_ONCE(x)
#define __WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))
#define WRITE_ONCE(x, value) do { __WRITE_ONCE(x, value); } while (0)

#endif
