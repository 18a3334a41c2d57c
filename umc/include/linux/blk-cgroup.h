/* SPDX-License-Identifier: GPL-2.0-only */
/* Control groups of block I/O: not configured (API of Linux 6.12). */
#ifndef UMC_LINUX_BLK_CGROUP_H
#define UMC_LINUX_BLK_CGROUP_H

#include <linux/types.h>
#include <linux/cgroup.h>
#include <linux/sched.h>

struct bio;

static inline struct cgroup_subsys_state *bio_blkcg_css(struct bio *bio)
{
	return NULL;
}

#endif
