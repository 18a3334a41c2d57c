/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct sock (API of 6.12).
 * Differs from Linux: only the members that drivers use, all plain. A driver that assigns sk_sndbuf, sk_rcvbuf (with
 * their SOCK_*BUF_LOCK), sk_reuse, sk_priority, sk_rcvtimeo or sk_sndtimeo is heard at the next operation on the socket.
 * sk_wmem_queued counts bytes that the peer has not acknowledged, without the overhead that Linux adds.
 * Rust owner: sock.rs
 */
#ifndef UMC_NET_SOCK_H
#define UMC_NET_SOCK_H

#include <linux/types.h>
#include <linux/completion.h>
#include <linux/in.h>
#include <linux/spinlock.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <net/net_namespace.h>
#include <net/tcp_states.h>

#define SK_NO_REUSE 0
#define SK_CAN_REUSE 1
#define SK_FORCE_REUSE 2

#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2
#define SOCK_BINDADDR_LOCK 4
#define SOCK_BINDPORT_LOCK 8

#define SHUTDOWN_MASK 3
#define RCV_SHUTDOWN 1
#define SEND_SHUTDOWN 2

#define SOCK_MIN_SNDBUF 4608
#define SOCK_MIN_RCVBUF 2304

/* umc: shared */
struct sock {
	struct net *sk_net;
	struct socket *sk_socket;
	unsigned short sk_family;
	u16 sk_type;
	u16 sk_protocol;
	volatile unsigned char sk_state;
	unsigned char sk_reuse;
	unsigned char sk_reuseport;
	u8 sk_userlocks;
	u8 sk_shutdown;
	bool sk_use_task_frag;
	int sk_sndbuf;
	int sk_rcvbuf;
	int sk_wmem_queued;
	int sk_rcvlowat;
	int sk_err;
	int sk_incoming_cpu; /* always 0 */
	u32 sk_priority;
	u32 sk_mark;
	gfp_t sk_allocation;
	unsigned long sk_flags;
	long sk_rcvtimeo;
	long sk_sndtimeo;
	rwlock_t sk_callback_lock;
	struct mutex umc_lock;
	void *sk_user_data;
	struct sk_buff_head sk_receive_queue; /* always empty: packets are the host's */
	struct socket_wq *sk_wq;
	void (*sk_state_change)(struct sock *sk);
	void (*sk_data_ready)(struct sock *sk);
	void (*sk_write_space)(struct sock *sk);
	void (*sk_error_report)(struct sock *sk);
};

static inline struct net *sock_net(const struct sock *sk)
{
	return sk->sk_net;
}


static inline wait_queue_head_t *sk_sleep(struct sock *sk)
{
	return &sk->sk_wq->wait;
}

static inline long sock_rcvtimeo(const struct sock *sk, bool noblock)
{
	return noblock ? 0 : sk->sk_rcvtimeo;
}

static inline long sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return noblock ? 0 : sk->sk_sndtimeo;
}

static inline bool sk_is_tcp(const struct sock *sk)
{
	return (sk->sk_family == AF_INET || sk->sk_family == AF_INET6) &&
	       sk->sk_type == SOCK_STREAM && sk->sk_protocol == IPPROTO_TCP;
}

static inline bool sk_is_stream_unix(const struct sock *sk)
{
	return sk->sk_family == AF_UNIX && sk->sk_type == SOCK_STREAM;
}

static inline int sk_stream_min_wspace(const struct sock *sk)
{
	return sk->sk_wmem_queued >> 1;
}

static inline int sk_stream_wspace(const struct sock *sk)
{
	return sk->sk_sndbuf - sk->sk_wmem_queued;
}

/* What was sent is copied: nothing of the sender's is in use. */
static inline int sk_wmem_alloc_get(const struct sock *sk)
{
	return 0;
}

static inline int sock_setsockopt(struct socket *sock, int level, int op, sockptr_t optval, unsigned int optlen)
{
	return sock->ops->setsockopt(sock, level, op, optval, optlen);
}

static inline bool sk_stream_is_writeable(const struct sock *sk)
{
	return sk_stream_wspace(sk) >= sk_stream_min_wspace(sk);
}

static inline void *rcu_dereference_sk_user_data(const struct sock *sk)
{
	return __atomic_load_n(&((struct sock *)sk)->sk_user_data, __ATOMIC_ACQUIRE);
}

static inline void rcu_assign_sk_user_data(struct sock *sk, void *data)
{
	__atomic_store_n(&sk->sk_user_data, data, __ATOMIC_RELEASE);
}

static inline void lock_sock(struct sock *sk) /* may sleep */
{
	mutex_lock(&sk->umc_lock);
}

static inline void release_sock(struct sock *sk)
{
	mutex_unlock(&sk->umc_lock);
}

extern void sock_def_readable(struct sock *sk);
extern void sk_set_memalloc(struct sock *sk);
extern void sk_clear_memalloc(struct sock *sk);
extern void sock_set_keepalive(struct sock *sk);
extern void sock_set_mark(struct sock *sk, u32 val);
extern void sock_set_priority(struct sock *sk, u32 priority);
extern void sock_set_rcvbuf(struct sock *sk, int val);
extern void sock_set_reuseaddr(struct sock *sk);
extern void sock_set_reuseport(struct sock *sk);
extern void sock_set_sndtimeo(struct sock *sk, s64 secs);
extern void sock_no_linger(struct sock *sk);

#endif
