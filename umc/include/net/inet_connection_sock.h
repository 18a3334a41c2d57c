/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct inet_connection_sock (API of 6.12): the part of a connection behind struct inet_sock.
 * Rust owner: net.rs
 */
#ifndef UMC_NET_INET_CONNECTION_SOCK_H
#define UMC_NET_INET_CONNECTION_SOCK_H

#include <net/inet_sock.h>

/* umc: shared */
struct inet_connection_sock {
	struct inet_sock icsk_inet; /* first */
};

static inline struct inet_connection_sock *inet_csk(const struct sock *sk)
{
	return (struct inet_connection_sock *)sk;
}

#endif
