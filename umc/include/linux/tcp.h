/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP sockets (API of 6.12).
 * Differs from Linux: struct tcp_sock has four sequence numbers. They start at zero and are brought up to date by each
 * operation on the socket, so that write_seq - snd_una is what the peer has not acknowledged and rcv_nxt - copied_seq
 * what was received and not read at that time.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_TCP_H
#define UMC_LINUX_TCP_H

#include <linux/skbuff.h>
#include <net/sock.h>
#include <net/inet_connection_sock.h>
#include <uapi/linux/tcp.h>

/* umc: shared */
struct tcp_sock {
	struct inet_connection_sock inet_conn; /* first */
	u32 rcv_nxt;
	u32 copied_seq;
	u32 snd_una;
	u32 write_seq;
};

static inline struct tcp_sock *tcp_sk(const struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

extern void tcp_sock_set_cork(struct sock *sk, bool on);
extern void tcp_sock_set_nodelay(struct sock *sk);
extern void tcp_sock_set_quickack(struct sock *sk, int val);
extern int tcp_sock_set_keepcnt(struct sock *sk, int val);
extern int tcp_sock_set_keepidle(struct sock *sk, int val);
extern int tcp_sock_set_keepintvl(struct sock *sk, int val);
extern int tcp_sock_set_syncnt(struct sock *sk, int val);
extern int tcp_sock_set_user_timeout(struct sock *sk, int val);

#endif
