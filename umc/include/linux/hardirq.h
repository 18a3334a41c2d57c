/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt context. API of Linux 6.12.
 * Differs: there are no interrupts; see linux/preempt.h.
 */
#ifndef UMC_LINUX_HARDIRQ_H
#define UMC_LINUX_HARDIRQ_H

#include <linux/preempt.h>
#include <linux/lockdep.h>

#endif
