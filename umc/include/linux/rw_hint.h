/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Expected lifetime of written data (6.12): carried along in a bio, used by nobody here.
 * Rust: bio.rs.
 */
#ifndef UMC_LINUX_RW_HINT_H
#define UMC_LINUX_RW_HINT_H

enum rw_hint {
	WRITE_LIFE_NOT_SET = 0,
	WRITE_LIFE_NONE = 1,
	WRITE_LIFE_SHORT = 2,
	WRITE_LIFE_MEDIUM = 3,
	WRITE_LIFE_LONG = 4,
	WRITE_LIFE_EXTREME = 5,
} __attribute__((__packed__));

#endif
