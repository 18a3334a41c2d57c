/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv6 socket addresses (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_IN6_H
#define UMC_UAPI_LINUX_IN6_H

#include <linux/types.h>
#include <linux/socket.h>

/* umc: shared */
struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be16 u6_addr16[8];
		__be32 u6_addr32[4];
	} in6_u;
};
#define s6_addr in6_u.u6_addr8
#define s6_addr16 in6_u.u6_addr16
#define s6_addr32 in6_u.u6_addr32

/* umc: shared */
struct sockaddr_in6 {
	unsigned short int sin6_family;
	__be16 sin6_port;
	__be32 sin6_flowinfo;
	struct in6_addr sin6_addr;
	__u32 sin6_scope_id;
};

#define IPV6_UNICAST_HOPS 16
#define IPV6_V6ONLY 26
#define IPV6_TCLASS 67

#endif
