/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct inet_sock (API of 6.12): the part of an Internet socket behind struct sock.
 * Differs from Linux: no addresses; getname of proto_ops asks the host.
 * Rust owner: net.rs
 */
#ifndef UMC_NET_INET_SOCK_H
#define UMC_NET_INET_SOCK_H

#include <net/sock.h>

/* umc: shared */
struct inet_sock {
	struct sock sk; /* first */
	__u8 tos;
	__u8 rcv_tos; /* always 0: not asked of the host */
};

static inline struct inet_sock *inet_sk(const struct sock *sk)
{
	return (struct inet_sock *)sk;
}

#endif
