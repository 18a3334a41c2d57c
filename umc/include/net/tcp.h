/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP for its users in the kernel (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_NET_TCP_H
#define UMC_NET_TCP_H

#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/ip.h>
#include <net/sock.h>
#include <net/tcp_states.h>

/* Any context. */
extern int tcp_read_sock(struct sock *sk, read_descriptor_t *desc, sk_read_actor_t recv_actor);

#endif
