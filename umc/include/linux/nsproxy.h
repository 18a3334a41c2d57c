/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Namespaces of a task (API of Linux 6.12): all tasks have those of their node.
 */
#ifndef UMC_LINUX_NSPROXY_H
#define UMC_LINUX_NSPROXY_H

struct net;

/* umc: shared */
struct nsproxy {
	struct net *net_ns;
};

#endif
