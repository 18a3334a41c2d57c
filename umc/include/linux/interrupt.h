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

/* Declared for drivers that look how they are set up: a module that uses one is refused when it is loaded. */
struct tasklet_struct {
	struct tasklet_struct *next;
	unsigned long state;
	atomic_t count;
	bool use_callback;
	union {
		void (*func)(unsigned long data);
		void (*callback)(struct tasklet_struct *t);
	};
	unsigned long data;
};

extern void tasklet_setup(struct tasklet_struct *t, void (*callback)(struct tasklet_struct *));
extern void tasklet_kill(struct tasklet_struct *t);
extern void __tasklet_schedule(struct tasklet_struct *t);

#define IRQ_RETVAL(x) ((x) ? IRQ_HANDLED : IRQ_NONE)

#endif
