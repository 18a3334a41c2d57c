/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signal numbers and sets. API of Linux 6.12. Rust owner: signal.rs.
 */
#ifndef UMC_ASM_SIGNAL_H
#define UMC_ASM_SIGNAL_H

#include <uapi/asm/signal.h>

#endif
