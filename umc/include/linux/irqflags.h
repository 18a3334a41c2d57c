/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts on and off. API of Linux 6.12. Rust owner: context.rs.
 * Differs: there are no interrupts to hold off. The flag is kept per task, so that irqs_disabled() and the reports
 * of sleeping in atomic context are right.
 */
#ifndef UMC_LINUX_IRQFLAGS_H
#define UMC_LINUX_IRQFLAGS_H

#include <linux/types.h>
#include <linux/typecheck.h>

extern void local_irq_disable(void);
extern void local_irq_enable(void);
extern unsigned long umc_local_irq_save(void);
extern void umc_local_irq_restore(unsigned long flags);
extern bool irqs_disabled(void);

#define local_irq_save(flags)                        \
	do {                                         \
		typecheck(unsigned long, flags);     \
		(flags) = umc_local_irq_save();      \
	} while (0)
#define local_irq_restore(flags)                     \
	do {                                         \
		typecheck(unsigned long, flags);     \
		umc_local_irq_restore(flags);        \
	} while (0)
#define local_save_flags(flags) ((flags) = irqs_disabled())
#define irqs_disabled_flags(flags) ((flags) != 0)

#endif
