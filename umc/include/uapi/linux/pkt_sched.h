/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packet priorities for sk_priority (API of 6.12).
 * Differs from Linux: no queueing disciplines.
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_PKT_SCHED_H
#define UMC_UAPI_LINUX_PKT_SCHED_H

#define TC_PRIO_BESTEFFORT 0
#define TC_PRIO_FILLER 1
#define TC_PRIO_BULK 2
#define TC_PRIO_INTERACTIVE_BULK 4
#define TC_PRIO_INTERACTIVE 6
#define TC_PRIO_CONTROL 7
#define TC_PRIO_MAX 15

#endif
