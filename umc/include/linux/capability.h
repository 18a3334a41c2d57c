/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capabilities (API of Linux 6.12): they judge the caller whose request the task serves.
 * Owner: umc/src/sync/capability.rs
 */
#ifndef UMC_LINUX_CAPABILITY_H
#define UMC_LINUX_CAPABILITY_H

#include <uapi/linux/capability.h>
#include <linux/uidgid.h>

struct user_namespace;

/* umc: shared */
typedef struct {
	u64 val;
} kernel_cap_t;

/* any context */
bool capable(int cap);
bool ns_capable(struct user_namespace *ns, int cap);
bool ns_capable_noaudit(struct user_namespace *ns, int cap);

static inline bool perfmon_capable(void)
{
	return capable(CAP_PERFMON) || capable(CAP_SYS_ADMIN);
}

#endif
