/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Types of signals. API of Linux 6.12. Rust owner: signal.rs.
 * Differs: no queue of siginfo; the pending signals of a task are a mask.
 */
#ifndef UMC_LINUX_SIGNAL_TYPES_H
#define UMC_LINUX_SIGNAL_TYPES_H

#include <uapi/linux/signal.h>

struct kernel_siginfo;
typedef struct kernel_siginfo kernel_siginfo_t;

#define SEND_SIG_NOINFO ((struct kernel_siginfo *)0)
#define SEND_SIG_PRIV ((struct kernel_siginfo *)1)

#endif
