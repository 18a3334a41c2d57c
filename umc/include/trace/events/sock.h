/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of sockets (6.12): never on.
 */
#ifndef UMC_TRACE_EVENTS_SOCK_H
#define UMC_TRACE_EVENTS_SOCK_H

#include <linux/tracepoint.h>

struct sock;

DECLARE_TRACE(sk_data_ready, TP_PROTO(const struct sock *sk), TP_ARGS(sk));

#endif
