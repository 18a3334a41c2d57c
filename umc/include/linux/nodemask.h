/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets of memory nodes: there is one node, number 0 (API of Linux 6.12).
 */
#ifndef UMC_LINUX_NODEMASK_H
#define UMC_LINUX_NODEMASK_H

#include <linux/types.h>
#include <linux/numa.h>

/* umc: shared */
typedef struct {
	unsigned long bits[1];
} nodemask_t;

#define nr_node_ids		1U
#define nr_online_nodes		1U
#define first_online_node	0
#define num_online_nodes()	1
#define num_possible_nodes()	1
#define node_online(node)	((node) == 0)
#define node_possible(node)	((node) == 0)
#define next_online_node(nid)	((void)(nid), MAX_NUMNODES)

#define for_each_node(node)		for ((node) = 0; (node) < MAX_NUMNODES; (node)++)
#define for_each_online_node(node)	for_each_node(node)

#endif
