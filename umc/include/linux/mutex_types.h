/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mutexes: types. API of Linux 6.12. Rust owner: mutex.rs.
 */
#ifndef UMC_LINUX_MUTEX_TYPES_H
#define UMC_LINUX_MUTEX_TYPES_H

/* umc: opaque */
struct mutex {
	unsigned long umc_words[4];
	/* What mutex_init() was called on, for the reports. */
	const char *umc_name;
};

#endif
