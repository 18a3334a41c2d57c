/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lock validator: types. API of Linux 6.12 without CONFIG_LOCKDEP.
 */
#ifndef UMC_LINUX_LOCKDEP_TYPES_H
#define UMC_LINUX_LOCKDEP_TYPES_H

/* umc: shared */
struct lock_class_key {
};

/* umc: shared */
struct lockdep_map {
};

enum lockdep_wait_type {
	LD_WAIT_INV = 0,
	LD_WAIT_FREE,
	LD_WAIT_SPIN,
	LD_WAIT_CONFIG = LD_WAIT_SPIN,
	LD_WAIT_SLEEP,
	LD_WAIT_MAX,
};

#endif
