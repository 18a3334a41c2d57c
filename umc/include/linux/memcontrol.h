/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory control groups: not configured, there is no group to charge (API of Linux 6.12). */
#ifndef UMC_LINUX_MEMCONTROL_H
#define UMC_LINUX_MEMCONTROL_H

#include <linux/mm.h>

struct cgroup_subsys_state;
struct mem_cgroup;

static inline bool mem_cgroup_disabled(void)
{
	return true;
}

static inline struct mem_cgroup *mem_cgroup_from_css(struct cgroup_subsys_state *css)
{
	return NULL;
}

#endif
