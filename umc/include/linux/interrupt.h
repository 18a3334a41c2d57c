/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts. API of Linux 6.12.
 * Differs: there are none. Interrupt handlers and tasklets are not provided.
 */
#ifndef UMC_LINUX_INTERRUPT_H
#define UMC_LINUX_INTERRUPT_H

#include <linux/bottom_half.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/spinlock.h>

typedef enum irqreturn {
	IRQ_NONE = 0,
	IRQ_HANDLED = 1,
	IRQ_WAKE_THREAD = 2,
} irqreturn_t;

#define IRQ_RETVAL(x) ((x) ? IRQ_HANDLED : IRQ_NONE)

#endif
