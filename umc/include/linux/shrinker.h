/* SPDX-License-Identifier: GPL-2.0-only */
/* Caches that could give memory back. API of 6.12. Differs: nobody ever asks, for no memory is reclaimed here (linux/gfp.h);
 * a cache has the limits that it sets itself, and the host reclaims what the process does not use. */
#ifndef UMC_LINUX_SHRINKER_H
#define UMC_LINUX_SHRINKER_H

#include <linux/slab.h>
#include <linux/types.h>

#define SHRINK_STOP	(~0UL)
#define SHRINK_EMPTY	(~0UL - 1)
#define DEFAULT_SEEKS	2
#define SHRINKER_NUMA_AWARE	(1U << 3)

struct mem_cgroup;

struct shrink_control {
	gfp_t gfp_mask;
	int nid;
	unsigned long nr_to_scan, nr_scanned;
	struct mem_cgroup *memcg;
};

struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker, struct shrink_control *control);
	unsigned long (*scan_objects)(struct shrinker *shrinker, struct shrink_control *control);
	long batch;
	int seeks;
	unsigned int flags;
	void *private_data;
};

/* May sleep. NULL without memory. */
static inline __printf(2, 3) struct shrinker *shrinker_alloc(unsigned int flags, const char *fmt, ...)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (shrinker) {
		shrinker->flags = flags;
		shrinker->seeks = DEFAULT_SEEKS;
	}
	return shrinker;
}

/* It may be asked from here on; see above. */
static inline void shrinker_register(struct shrinker *shrinker)
{
}

/* Nobody is inside of its functions when this returns. */
static inline void shrinker_free(struct shrinker *shrinker)
{
	kfree(shrinker);
}

#endif
