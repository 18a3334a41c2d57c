/* SPDX-License-Identifier: GPL-2.0-only */
/* Sorting of lists, API of 6.12. Owner: umc/src/lib/list_sort.rs */
#ifndef UMC_LINUX_LIST_SORT_H
#define UMC_LINUX_LIST_SORT_H

#include <linux/types.h>

struct list_head;

/* More than 0 where a comes after b. */
typedef int __attribute__((nonnull(2, 3))) (*list_cmp_func_t)(void *priv, const struct list_head *a,
							      const struct list_head *b);

/* any context that cmp allows */
void list_sort(void *priv, struct list_head *head, list_cmp_func_t cmp);

#endif
