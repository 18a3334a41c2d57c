/* SPDX-License-Identifier: GPL-2.0-only */
/* Control groups: not configured, so there is no state that could be counted: every pointer to one is NULL (API of Linux 6.12). */
#ifndef UMC_LINUX_CGROUP_H
#define UMC_LINUX_CGROUP_H

#include <linux/types.h>

struct cgroup_subsys_state;

static inline void css_get(struct cgroup_subsys_state *css)
{
}

static inline void css_put(struct cgroup_subsys_state *css)
{
}

/* Charges what the thread does to a group. Any context. */
static inline void kthread_associate_blkcg(struct cgroup_subsys_state *css)
{
}

#endif
