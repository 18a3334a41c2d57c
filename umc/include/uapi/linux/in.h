/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internet protocol numbers and IPv4 socket addresses (API of 6.12).
 * Differs from Linux: no IP-level socket options beyond the common ones.
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_IN_H
#define UMC_UAPI_LINUX_IN_H

#include <linux/types.h>
#include <linux/socket.h>

enum {
	IPPROTO_IP = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_IGMP = 2,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_IPV6 = 41,
	IPPROTO_SCTP = 132,
	IPPROTO_RAW = 255,
	IPPROTO_MPTCP = 262,
};

#define IP_TOS 1
#define IP_TTL 2
#define IP_BIND_ADDRESS_NO_PORT 24

/* umc: shared */
struct in_addr {
	__be32 s_addr;
};

#define __SOCK_SIZE__ 16

/* umc: shared */
struct sockaddr_in {
	__kernel_sa_family_t sin_family;
	__be16 sin_port;
	struct in_addr sin_addr;
	unsigned char __pad[__SOCK_SIZE__ - sizeof(short int) - sizeof(unsigned short int) - sizeof(struct in_addr)];
};
#define sin_zero __pad

#define INADDR_ANY ((unsigned long int)0x00000000)
#define INADDR_BROADCAST ((unsigned long int)0xffffffff)
#define INADDR_NONE ((unsigned long int)0xffffffff)
#define INADDR_LOOPBACK 0x7f000001

#endif
