/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets (API of 6.12) over non-blocking sockets of the host.
 * Differs from Linux: proto_ops has only the members an in-kernel user calls; a socket has a file only once
 * sock_alloc_file gave it one, and no file has a descriptor.
 * MSG_SPLICE_PAGES is taken and its data copied before the call returns, so no page is referenced afterwards.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_NET_H
#define UMC_LINUX_NET_H

#include <linux/types.h>
#include <linux/stringify.h>
#include <linux/wait.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/socket.h>
#include <linux/sockptr.h>
#include <uapi/linux/net.h>
#include <linux/file.h>
#include <linux/random.h>

struct file;
struct module;
struct net;
struct sk_buff;
struct sock;
struct socket;

/* Bits of socket->flags. */
#define SOCKWQ_ASYNC_NOSPACE 0
#define SOCKWQ_ASYNC_WAITDATA 1
#define SOCK_NOSPACE 2
#define SOCK_PASSCRED 3
#define SOCK_PASSSEC 4
#define SOCK_SUPPORT_ZC 5
#define SOCK_CUSTOM_SOCKOPT 6

enum sock_type {
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	SOCK_RDM = 4,
	SOCK_SEQPACKET = 5,
	SOCK_DCCP = 6,
	SOCK_PACKET = 10,
};

#define SOCK_MAX (SOCK_PACKET + 1)
#define SOCK_TYPE_MASK 0xf
#define SOCK_CLOEXEC O_CLOEXEC
#define SOCK_NONBLOCK O_NONBLOCK

enum sock_shutdown_cmd {
	SHUT_RD,
	SHUT_WR,
	SHUT_RDWR,
};

/* umc: shared */
struct socket_wq {
	wait_queue_head_t wait;
	unsigned long flags;
};

/* umc: shared */
struct socket {
	socket_state state;
	short type;
	unsigned long flags;
	struct file *file;
	struct sock *sk;
	const struct proto_ops *ops;
	struct socket_wq wq;
};

/* umc: shared */
typedef struct {
	size_t written;
	size_t count;
	union {
		char *buf;
		void *data;
	} arg;
	int error;
} read_descriptor_t;

typedef int (*sk_read_actor_t)(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len);

/* umc: shared */
struct proto_accept_arg {
	int flags;
	int err;
	int is_empty;
	bool kern;
};

/* umc: shared */
struct proto_ops {
	int family;
	struct module *owner;
	int (*release)(struct socket *sock);
	int (*bind)(struct socket *sock, struct sockaddr *myaddr, int sockaddr_len);
	int (*connect)(struct socket *sock, struct sockaddr *vaddr, int sockaddr_len, int flags);
	int (*accept)(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg);
	int (*getname)(struct socket *sock, struct sockaddr *addr, int peer);
	int (*listen)(struct socket *sock, int len);
	int (*shutdown)(struct socket *sock, int flags);
	int (*setsockopt)(struct socket *sock, int level, int optname, sockptr_t optval, unsigned int optlen);
	int (*sendmsg)(struct socket *sock, struct msghdr *m, size_t total_len);
	int (*recvmsg)(struct socket *sock, struct msghdr *m, size_t total_len, int flags);
	/* For TCP; it is tcp_read_sock. */
	int (*read_sock)(struct sock *sk, read_descriptor_t *desc, sk_read_actor_t recv_actor);
};

extern int __sock_create(struct net *net, int family, int type, int proto, struct socket **res, int kern);
extern int sock_create(int family, int type, int proto, struct socket **res);
extern int sock_create_kern(struct net *net, int family, int type, int proto, struct socket **res);
extern int sock_create_lite(int family, int type, int proto, struct socket **res);
extern void sock_release(struct socket *sock); /* may sleep */
extern int sock_sendmsg(struct socket *sock, struct msghdr *msg); /* may sleep */
extern int sock_recvmsg(struct socket *sock, struct msghdr *msg, int flags); /* may sleep */
extern int kernel_sendmsg(struct socket *sock, struct msghdr *msg, struct kvec *vec, size_t num, size_t len); /* may sleep */
extern int kernel_recvmsg(struct socket *sock, struct msghdr *msg, struct kvec *vec, size_t num, size_t len, int flags); /* may sleep */
extern int kernel_bind(struct socket *sock, struct sockaddr *addr, int addrlen);
extern int kernel_listen(struct socket *sock, int backlog);
extern int kernel_accept(struct socket *sock, struct socket **newsock, int flags); /* may sleep */
extern int kernel_connect(struct socket *sock, struct sockaddr *addr, int addrlen, int flags); /* may sleep */
extern int kernel_getsockname(struct socket *sock, struct sockaddr *addr);
extern int kernel_getpeername(struct socket *sock, struct sockaddr *addr);
extern int kernel_sock_shutdown(struct socket *sock, enum sock_shutdown_cmd how);
/* Gives the socket a file, whose last fput() releases the socket. Without memory the socket is released at once. */
extern struct file *sock_alloc_file(struct socket *sock, int flags, const char *dname); /* may sleep */
extern int net_ratelimit(void);

/* The socket of a descriptor of the caller; sockfd_put() gives it back. May sleep. */
extern struct socket *sockfd_lookup(int fd, int *err);
extern int sock_no_shutdown(struct socket *sock, int how);

/* Drops a reference on the file of a socket. May sleep. */
#define sockfd_put(sock) fput(sock->file)

#define net_ratelimited_function(function, ...)	\
	do {					\
		if (net_ratelimit())		\
			function(__VA_ARGS__);	\
	} while (0)
#define net_err_ratelimited(fmt, ...) net_ratelimited_function(pr_err, fmt, ##__VA_ARGS__)
#define net_warn_ratelimited(fmt, ...) net_ratelimited_function(pr_warn, fmt, ##__VA_ARGS__)
#define net_info_ratelimited(fmt, ...) net_ratelimited_function(pr_info, fmt, ##__VA_ARGS__)

/* Whether a page may be given to MSG_SPLICE_PAGES: not one of the slab, and one that somebody holds. */
static inline bool sendpage_ok(struct page *page)
{
	return !PageSlab(page) && page_count(page) >= 1;
}

static inline bool sendpages_ok(struct page *page, size_t len, size_t offset)
{
	struct page *p = page + (offset >> PAGE_SHIFT);
	size_t seen;

	for (seen = 0; seen < len; seen += PAGE_SIZE, p++)
		if (!sendpage_ok(p))
			return false;
	return true;
}

#define MODULE_ALIAS_NETPROTO(proto) MODULE_ALIAS("net-pf-" __stringify(proto))
#define MODULE_ALIAS_NET_PF_PROTO(pf, proto) MODULE_ALIAS("net-pf-" __stringify(pf) "-proto-" __stringify(proto))
#define MODULE_ALIAS_NET_PF_PROTO_NAME(pf, proto, name) \
	MODULE_ALIAS("net-pf-" __stringify(pf) "-proto-" __stringify(proto) name)

#endif
