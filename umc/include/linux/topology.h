/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which processor belongs to which memory node: all to node 0 (API of Linux 6.12).
 */
#ifndef UMC_LINUX_TOPOLOGY_H
#define UMC_LINUX_TOPOLOGY_H

#include <linux/numa.h>
#include <linux/cpumask.h>

#define cpu_to_node(cpu)	((void)(cpu), 0)
#define cpu_to_mem(cpu)		((void)(cpu), 0)
#define numa_node_id()		0
#define numa_mem_id()		0
#define early_cpu_to_node(cpu)	cpu_to_node(cpu)
#define cpumask_of_node(node)	((void)(node), cpu_online_mask)
#define nr_cpus_node(node)	cpumask_weight(cpumask_of_node(node))
#define set_numa_node(node)	((void)(node))
#define LOCAL_DISTANCE		10
#define REMOTE_DISTANCE		20
#define node_distance(from, to)	((from) == (to) ? LOCAL_DISTANCE : REMOTE_DISTANCE)

#endif
