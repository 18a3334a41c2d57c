/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is to be done as CPUs come and go. API of 6.12. Owner: umc/src/sync/cpuhp.rs
 * Differs: CPUs never come or go. An instance is started on each possible CPU when it is added, for a task may be on any of
 * them, and torn down on each when it is removed. Of the fixed states there is that of raid456.
 */
#ifndef UMC_LINUX_CPUHOTPLUG_H
#define UMC_LINUX_CPUHOTPLUG_H

#include <linux/types.h>

struct hlist_node;

enum cpuhp_state {
	CPUHP_INVALID = -1,
	CPUHP_OFFLINE = 0,
	CPUHP_MD_RAID5_PREPARE,
	CPUHP_ONLINE,
};

/* may sleep: 0, or a negative errno; -EBUSY where the state is taken */
int __cpuhp_setup_state_multi(enum cpuhp_state state, int (*startup)(unsigned int cpu, struct hlist_node *node),
			      int (*teardown)(unsigned int cpu, struct hlist_node *node));
/* may sleep: what the first start that failed returned, after those before it were torn down */
int cpuhp_state_add_instance(enum cpuhp_state state, struct hlist_node *node);
int cpuhp_state_remove_instance(enum cpuhp_state state, struct hlist_node *node);
/* may sleep */
void cpuhp_remove_multi_state(enum cpuhp_state state);

#define cpuhp_setup_state_multi(state, name, startup, teardown)	((void)(name), __cpuhp_setup_state_multi(state, startup, teardown))

#endif
