/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv6 addresses (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_IN6_H
#define UMC_LINUX_IN6_H

#include <uapi/linux/in6.h>

#define IN6ADDR_ANY_INIT { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } } }
#define IN6ADDR_LOOPBACK_INIT { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } } }

#endif
