/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv4 addresses and their classes (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_IN_H
#define UMC_LINUX_IN_H

#include <linux/types.h>
#include <asm/byteorder.h>
#include <uapi/linux/in.h>

static inline bool ipv4_is_loopback(__be32 addr)
{
	return (addr & htonl(0xff000000)) == htonl(0x7f000000);
}

static inline bool ipv4_is_multicast(__be32 addr)
{
	return (addr & htonl(0xf0000000)) == htonl(0xe0000000);
}

static inline bool ipv4_is_zeronet(__be32 addr)
{
	return addr == 0;
}

#endif
