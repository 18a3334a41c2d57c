/* SPDX-License-Identifier: GPL-2.0-only */
/* Sorting of arrays. API of 6.12. Rust owner: umc/src/lib/sort.rs. */
#ifndef UMC_LINUX_SORT_H
#define UMC_LINUX_SORT_H

#include <linux/types.h>

typedef int (*cmp_func_t)(const void *a, const void *b);
typedef void (*swap_func_t)(void *a, void *b, int size);
typedef int (*cmp_r_func_t)(const void *a, const void *b, const void *priv);
typedef void (*swap_r_func_t)(void *a, void *b, int size, const void *priv);

/* Any context: in place, and not stable. Without a swap function bytes are exchanged. */
extern void sort(void *base, size_t num, size_t size, cmp_func_t cmp, swap_func_t swap);
extern void sort_r(void *base, size_t num, size_t size, cmp_r_func_t cmp, swap_r_func_t swap, const void *priv);

#endif
