/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User namespaces (API of Linux 6.12): there is the initial one.
 * Owner: umc/src/sync/capability.rs
 */
#ifndef UMC_LINUX_USER_NAMESPACE_H
#define UMC_LINUX_USER_NAMESPACE_H

#include <linux/types.h>
#include <linux/uidgid.h>

/* umc: opaque */
struct user_namespace {
	unsigned long umc_opaque[1];
};

/* any context */
struct user_namespace *umc_init_user_ns(void);
#define init_user_ns	(*umc_init_user_ns())

static inline struct user_namespace *get_user_ns(struct user_namespace *ns)
{
	return ns;
}

static inline void put_user_ns(struct user_namespace *ns)
{
	(void)ns;
}

#define current_user_ns()	(&init_user_ns)

#endif
