/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink in the kernel (API of 6.12).
 * Differs from Linux: generic netlink is the only protocol; its clients are portals (genetlink.rs), not sockets. A
 * record that is no whole message is answered with NLMSG_ERROR and -EINVAL, where Linux drops it.
 * Rust owner: netlink.rs
 */
#ifndef UMC_LINUX_NETLINK_H
#define UMC_LINUX_NETLINK_H

#include <linux/types.h>
#include <linux/capability.h>
#include <linux/skbuff.h>
#include <linux/export.h>
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <net/scm.h>
#include <uapi/linux/netlink.h>

struct module;
struct net;
struct nla_policy;
struct sock;
struct user_namespace;

enum netlink_skb_flags {
	NETLINK_SKB_DST = 0x8,
};

/* umc: shared */
struct netlink_skb_parms {
	struct scm_creds creds;
	__u32 portid;
	__u32 dst_group;
	__u32 flags;
	struct sock *sk;
	bool nsid_is_set;
	int nsid;
};

#define NETLINK_CB(skb) (*(struct netlink_skb_parms *)&((skb)->cb))
#define NETLINK_CREDS(skb) (&NETLINK_CB((skb)).creds)

static inline struct nlmsghdr *nlmsg_hdr(const struct sk_buff *skb)
{
	return (struct nlmsghdr *)skb->data;
}

#define NETLINK_MAX_COOKIE_LEN 20
#define NETLINK_MAX_FMTMSG_LEN 80

/* umc: shared */
struct netlink_ext_ack {
	const char *_msg;
	const struct nlattr *bad_attr;
	const struct nla_policy *policy;
	const struct nlattr *miss_nest;
	u16 miss_type;
	u8 cookie[NETLINK_MAX_COOKIE_LEN];
	u8 cookie_len;
	char _msg_buf[NETLINK_MAX_FMTMSG_LEN];
};

#define NL_SET_ERR_MSG_ATTR_POL(extack, attr, pol, msg)			\
	do {								\
		static const char __umc_msg[] = msg;			\
		struct netlink_ext_ack *__umc_ack = (extack);		\
		if (__umc_ack) {					\
			__umc_ack->_msg = __umc_msg;			\
			__umc_ack->bad_attr = (attr);			\
			__umc_ack->policy = (pol);			\
		}							\
	} while (0)
#define NL_SET_ERR_MSG_ATTR(extack, attr, msg) NL_SET_ERR_MSG_ATTR_POL(extack, attr, NULL, msg)
#define NL_SET_ERR_MSG(extack, msg)					\
	do {								\
		static const char __umc_msg[] = msg;			\
		struct netlink_ext_ack *__umc_ack = (extack);		\
		if (__umc_ack)						\
			__umc_ack->_msg = __umc_msg;			\
	} while (0)
#define NL_SET_ERR_MSG_FMT(extack, fmt, args...)						\
	do {											\
		struct netlink_ext_ack *__umc_ack = (extack);					\
		if (__umc_ack) {								\
			snprintf(__umc_ack->_msg_buf, NETLINK_MAX_FMTMSG_LEN, fmt, ##args);	\
			__umc_ack->_msg = __umc_ack->_msg_buf;					\
		}										\
	} while (0)
#define NL_SET_ERR_MSG_MOD(extack, msg) NL_SET_ERR_MSG((extack), KBUILD_MODNAME ": " msg)
#define NL_SET_BAD_ATTR_POLICY(extack, attr, pol)		\
	do {							\
		struct netlink_ext_ack *__umc_ack = (extack);	\
		if (__umc_ack) {				\
			__umc_ack->bad_attr = (attr);		\
			__umc_ack->policy = (pol);		\
		}						\
	} while (0)
#define NL_SET_BAD_ATTR(extack, attr) NL_SET_BAD_ATTR_POLICY(extack, attr, NULL)
#define NL_SET_ERR_ATTR_MISS(extack, nest, type)		\
	do {							\
		struct netlink_ext_ack *__umc_ack = (extack);	\
		if (__umc_ack) {				\
			__umc_ack->miss_nest = (nest);		\
			__umc_ack->miss_type = (type);		\
		}						\
	} while (0)
#define NL_REQ_ATTR_CHECK(extack, nest, tb, type)			\
	({								\
		u32 __umc_type = (type);				\
		bool __umc_missing = !(tb)[__umc_type];			\
		if (__umc_missing)					\
			NL_SET_ERR_ATTR_MISS((extack), (nest), __umc_type); \
		(int)__umc_missing;					\
	})

/* A message that fits in one page, as Linux counts it. */
#define NLMSG_GOODSIZE SKB_WITH_OVERHEAD(PAGE_SIZE)
#define NLMSG_DEFAULT_SIZE (NLMSG_GOODSIZE - NLMSG_HDRLEN)

/* umc: shared */
struct netlink_callback {
	struct sk_buff *skb;
	const struct nlmsghdr *nlh;
	int (*dump)(struct sk_buff *skb, struct netlink_callback *cb);
	int (*done)(struct netlink_callback *cb);
	void *data;
	struct module *module;
	struct netlink_ext_ack *extack;
	u16 family;
	u16 answer_flags;
	u32 min_dump_alloc;
	unsigned int prev_seq, seq;
	int flags;
	bool strict_check;
	union {
		u8 ctx[48];
		long args[6];
	};
};

#define NL_ASSERT_DUMP_CTX_FITS(type_name) \
	BUILD_BUG_ON(sizeof(type_name) > sizeof(((struct netlink_callback *)0)->ctx))

/* umc: shared */
struct netlink_notify {
	struct net *net;
	u32 portid;
	int protocol;
};

typedef int (*netlink_filter_fn)(struct sock *dsk, struct sk_buff *skb, void *data);

extern struct nlmsghdr *__nlmsg_put(struct sk_buff *skb, u32 portid, u32 seq, int type, int len, int flags);
extern void netlink_ack(struct sk_buff *in_skb, struct nlmsghdr *nlh, int err, const struct netlink_ext_ack *extack);
extern int netlink_has_listeners(struct sock *sk, unsigned int group);
extern int netlink_unicast(struct sock *ssk, struct sk_buff *skb, __u32 portid, int nonblock);
extern int netlink_broadcast(struct sock *ssk, struct sk_buff *skb, __u32 portid, __u32 group, gfp_t allocation);
extern int netlink_broadcast_filtered(struct sock *ssk, struct sk_buff *skb, __u32 portid, __u32 group, gfp_t allocation, netlink_filter_fn filter, void *filter_data);

extern bool netlink_ns_capable(const struct sk_buff *skb, struct user_namespace *user_ns, int cap);
extern bool netlink_capable(const struct sk_buff *skb, int cap);
extern bool netlink_net_capable(const struct sk_buff *skb, int cap);

#endif
