/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text to address (API of 6.12).
 * Rust owner: inet.rs
 */
#ifndef UMC_LINUX_INET_H
#define UMC_LINUX_INET_H

#include <linux/types.h>
#include <linux/socket.h>

#define INET_ADDRSTRLEN 16
#define INET6_ADDRSTRLEN 48

struct net;

extern __be32 in_aton(const char *str);
extern int in4_pton(const char *src, int srclen, u8 *dst, int delim, const char **end);
extern int in6_pton(const char *src, int srclen, u8 *dst, int delim, const char **end);
/* 0, or -EINVAL for what is no address of the family, or no port; AF_UNSPEC takes either family. */
extern int inet_pton_with_scope(struct net *net, unsigned short af, const char *src, const char *port,
				struct sockaddr_storage *addr);
extern bool inet_addr_is_any(struct sockaddr *addr);

#endif
