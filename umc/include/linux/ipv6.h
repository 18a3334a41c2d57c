/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv6 in the kernel (API of 6.12): nothing but the addresses.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_IPV6_H
#define UMC_LINUX_IPV6_H

#include <linux/in6.h>
#include <linux/skbuff.h>

#endif
