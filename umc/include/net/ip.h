/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of IP (API of Linux 6.12).
 * Owner: umc/src/net/inet.rs
 */
#ifndef UMC_NET_IP_H
#define UMC_NET_IP_H

#include <linux/ip.h>
#include <net/inet_sock.h>
#include <net/sock.h>

/* Any context. */
extern void ip_sock_set_tos(struct sock *sk, int val);
extern void ip_sock_set_freebind(struct sock *sk);

#endif
