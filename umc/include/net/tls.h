/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLS in the kernel (API of Linux 6.12).
 * Differs: no socket is one of TLS, so nothing of its state is provided; see net/handshake.h.
 */
#ifndef UMC_NET_TLS_H
#define UMC_NET_TLS_H

#include <linux/types.h>
#include <linux/socket.h>
#include <linux/tcp.h>
#include <net/net_namespace.h>
#include <net/tcp.h>
#include <uapi/linux/tls.h>

#endif
