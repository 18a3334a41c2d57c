/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network namespaces (API of 6.12).
 * Differs from Linux: one emulated kernel has exactly one, init_net; it is the host's namespace of the process.
 * Rust owner: net.rs
 */
#ifndef UMC_NET_NET_NAMESPACE_H
#define UMC_NET_NET_NAMESPACE_H

#include <linux/types.h>
#include <linux/init.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/seq_file.h>

struct sock;
struct user_namespace;

/* umc: shared */
struct net {
	struct user_namespace *user_ns;
	struct sock *genl_sock;
	struct list_head exit_list;
};

extern struct net *umc_init_net(void);
#define init_net (*umc_init_net())

/* umc: shared */
typedef struct {
	struct net *net;
} possible_net_t;

static inline void write_pnet(possible_net_t *pnet, struct net *net)
{
	pnet->net = net;
}

static inline struct net *read_pnet(const possible_net_t *pnet)
{
	return pnet->net;
}

static inline struct net *get_net(struct net *net)
{
	return net;
}

static inline void put_net(struct net *net)
{
}

static inline int net_eq(const struct net *net1, const struct net *net2)
{
	return net1 == net2;
}

/* umc: shared */
struct pernet_operations {
	struct list_head list;
	int (*init)(struct net *net);
	void (*pre_exit)(struct net *net);
	void (*exit)(struct net *net);
	void (*exit_batch)(struct list_head *net_exit_list);
	unsigned int *id;
	size_t size;
};

#define __net_init
#define __net_exit
#define __net_initdata

/* There is one namespace and it lives as long as the kernel: registering calls init once, unregistering exit. */
extern int register_pernet_subsys(struct pernet_operations *ops);
extern void unregister_pernet_subsys(struct pernet_operations *ops);
extern int register_pernet_device(struct pernet_operations *ops);
extern void unregister_pernet_device(struct pernet_operations *ops);

#endif
