/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv6 addresses and their kinds (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_NET_IPV6_H
#define UMC_NET_IPV6_H

#include <linux/delay.h>
#include <linux/in6.h>
#include <linux/ipv6.h>
#include <linux/string.h>
#include <net/sock.h>

#define IPV6_ADDR_ANY 0x0000U
#define IPV6_ADDR_UNICAST 0x0001U
#define IPV6_ADDR_MULTICAST 0x0002U
#define IPV6_ADDR_LOOPBACK 0x0010U
#define IPV6_ADDR_LINKLOCAL 0x0020U
#define IPV6_ADDR_SITELOCAL 0x0040U
#define IPV6_ADDR_COMPATv4 0x0080U
#define IPV6_ADDR_MAPPED 0x1000U

extern int ipv6_addr_type(const struct in6_addr *addr);

static inline bool ipv6_addr_equal(const struct in6_addr *a1, const struct in6_addr *a2)
{
	return !memcmp(a1, a2, sizeof(*a1));
}

/* An IPv4 address in one of IPv6: ::ffff:a.b.c.d. */
static inline bool ipv6_addr_v4mapped(const struct in6_addr *a)
{
	return !a->s6_addr32[0] && !a->s6_addr32[1] && a->s6_addr32[2] == htonl(0x0000ffff);
}

static inline bool ipv6_addr_any(const struct in6_addr *a)
{
	return !(a->s6_addr32[0] | a->s6_addr32[1] | a->s6_addr32[2] | a->s6_addr32[3]);
}

#endif
