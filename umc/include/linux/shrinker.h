/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shrinkers (API of Linux 6.12): types only. Nothing reclaims memory here, and no function is provided, so a driver
 * that registers a shrinker is refused at insmod.
 */
#ifndef UMC_LINUX_SHRINKER_H
#define UMC_LINUX_SHRINKER_H

#include <linux/types.h>
#include <linux/atomic.h>

struct mem_cgroup;

/* umc: shared */
struct shrink_control {
	gfp_t gfp_mask;
	int nid;
	unsigned long nr_to_scan;
	unsigned long nr_scanned;
	struct mem_cgroup *memcg;
};

#define SHRINK_STOP	(~0UL)
#define SHRINK_EMPTY	(~0UL - 1)
#define DEFAULT_SEEKS	2

/* umc: shared */
struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker, struct shrink_control *sc);
	unsigned long (*scan_objects)(struct shrinker *shrinker, struct shrink_control *sc);
	long batch;
	int seeks;
	unsigned int flags;
	void *private_data;
};

struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt, ...);
void shrinker_register(struct shrinker *shrinker);
void shrinker_free(struct shrinker *shrinker);

#endif
