/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pointer to an option's value (API of 6.12).
 * Differs from Linux: user and kernel addresses are the same thing, so it always holds a kernel one.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_SOCKPTR_H
#define UMC_LINUX_SOCKPTR_H

#include <linux/types.h>

/* umc: shared */
typedef struct {
	union {
		void *kernel;
		void *user;
	};
	bool is_kernel : 1;
} sockptr_t;

static inline bool sockptr_is_kernel(sockptr_t ptr)
{
	return ptr.is_kernel;
}

static inline sockptr_t KERNEL_SOCKPTR(void *p)
{
	return (sockptr_t){ .kernel = p, .is_kernel = true };
}

static inline sockptr_t USER_SOCKPTR(void *p)
{
	return (sockptr_t){ .user = p };
}

static inline bool sockptr_is_null(sockptr_t ptr)
{
	return !ptr.kernel;
}

#endif
