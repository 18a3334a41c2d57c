/* SPDX-License-Identifier: GPL-2.0-only */
/* Layout of a reference count (API of 6.12). */
#ifndef UMC_LINUX_REFCOUNT_TYPES_H
#define UMC_LINUX_REFCOUNT_TYPES_H

#include <linux/types.h>

/* umc: shared */
typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

#endif
