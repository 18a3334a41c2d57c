/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking for packets instead of waiting for them (API of Linux 6.12): nobody does; the host wakes who waits.
 */
#ifndef UMC_NET_BUSY_POLL_H
#define UMC_NET_BUSY_POLL_H

#include <linux/delay.h>
#include <linux/netdevice.h>
#include <linux/nsproxy.h>
#include <linux/sched/mm.h>
#include <linux/skbuff.h>
#include <net/sock.h>

static inline bool sk_can_busy_loop(const struct sock *sk)
{
	return false;
}

static inline void sk_busy_loop(struct sock *sk, int nonblock)
{
}

#endif
