/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Generic netlink, kernel side (API of 6.12).
 * Rust owner: genetlink.rs
 */
#ifndef UMC_LINUX_GENETLINK_H
#define UMC_LINUX_GENETLINK_H

#include <uapi/linux/genetlink.h>

extern void genl_lock(void); /* may sleep */
extern void genl_unlock(void);

#endif
