/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP header and socket option numbers (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_TCP_H
#define UMC_UAPI_LINUX_TCP_H

#include <linux/types.h>
#include <linux/socket.h>

#define TCP_NODELAY 1
#define TCP_MAXSEG 2
#define TCP_CORK 3
#define TCP_KEEPIDLE 4
#define TCP_KEEPINTVL 5
#define TCP_KEEPCNT 6
#define TCP_SYNCNT 7
#define TCP_LINGER2 8
#define TCP_DEFER_ACCEPT 9
#define TCP_WINDOW_CLAMP 10
#define TCP_INFO 11
#define TCP_QUICKACK 12
#define TCP_CONGESTION 13
#define TCP_USER_TIMEOUT 18
#define TCP_ULP 31

#endif
