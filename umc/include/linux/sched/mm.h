/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation scopes of a task. API of Linux 6.12.
 * Differs: the flags are kept in task_struct::flags as in Linux; the allocator never reclaims, so none of
 * them changes what it does.
 */
#ifndef UMC_LINUX_SCHED_MM_H
#define UMC_LINUX_SCHED_MM_H

#include <linux/sched.h>
#include <linux/gfp.h>

struct mem_cgroup;

/* There are no groups to charge: none was active, and none is. */
static inline struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg)
{
	return NULL;
}

static inline unsigned int memalloc_flags_save(unsigned int flags)
{
	struct task_struct *task = current;
	unsigned int old = ~task->flags & flags;

	task->flags |= flags;
	return old;
}

static inline void memalloc_flags_restore(unsigned int flags)
{
	current->flags &= ~flags;
}

static inline unsigned int memalloc_noio_save(void)
{
	return memalloc_flags_save(PF_MEMALLOC_NOIO);
}

static inline void memalloc_noio_restore(unsigned int flags)
{
	memalloc_flags_restore(flags);
}

static inline unsigned int memalloc_nofs_save(void)
{
	return memalloc_flags_save(PF_MEMALLOC_NOFS);
}

static inline void memalloc_nofs_restore(unsigned int flags)
{
	memalloc_flags_restore(flags);
}

static inline unsigned int memalloc_noreclaim_save(void)
{
	return memalloc_flags_save(PF_MEMALLOC);
}

static inline void memalloc_noreclaim_restore(unsigned int flags)
{
	memalloc_flags_restore(flags);
}

#endif
