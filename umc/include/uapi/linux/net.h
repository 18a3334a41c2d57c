/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * States of struct socket (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_NET_H
#define UMC_UAPI_LINUX_NET_H

#include <asm/socket.h>

#define NPROTO 46

typedef enum {
	SS_FREE = 0,
	SS_UNCONNECTED,
	SS_CONNECTING,
	SS_CONNECTED,
	SS_DISCONNECTING,
} socket_state;

#define __SO_ACCEPTCON (1 << 16)

#endif
