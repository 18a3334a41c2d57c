/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IPv4 in the kernel (API of 6.12): nothing but the addresses.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_IP_H
#define UMC_LINUX_IP_H

#include <linux/in.h>
#include <linux/skbuff.h>

#endif
