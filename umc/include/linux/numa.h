/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory nodes: there is one (API of Linux 6.12).
 */
#ifndef UMC_LINUX_NUMA_H
#define UMC_LINUX_NUMA_H

#include <linux/types.h>

#define NODES_SHIFT	0
#define MAX_NUMNODES	(1 << NODES_SHIFT)
#define NUMA_NO_NODE	(-1)

static inline bool numa_valid_node(int nid)
{
	return nid >= 0 && nid < MAX_NUMNODES;
}

#endif
