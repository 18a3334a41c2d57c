/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequence locks: types. API of Linux 6.12.
 */
#ifndef UMC_LINUX_SEQLOCK_TYPES_H
#define UMC_LINUX_SEQLOCK_TYPES_H

#include <linux/spinlock_types.h>

/* umc: shared */
typedef struct seqcount {
	unsigned int sequence;
} seqcount_t;

/* umc: shared */
typedef struct umc_seqlock {
	seqcount_t seqcount;
	spinlock_t lock;
} seqlock_t;

typedef seqcount_t seqcount_spinlock_t;
typedef seqcount_t seqcount_mutex_t;

#endif
