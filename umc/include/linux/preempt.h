/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Atomic context. API of Linux 6.12. Rust owner: context.rs.
 * Differs: no thread is ever held on its CPU. The counters exist so that a sleep in atomic context is reported
 * and, as in Linux, so that RCU waits for such a section. Timer callbacks count as soft interrupts.
 */
#ifndef UMC_LINUX_PREEMPT_H
#define UMC_LINUX_PREEMPT_H

#include <linux/types.h>

extern void preempt_disable(void);
extern void preempt_enable(void);
#define preempt_enable_no_resched() preempt_enable()
#define preempt_disable_notrace() preempt_disable()
#define preempt_enable_notrace() preempt_enable()

extern int preempt_count(void);
/* Served, or off. */
extern bool umc_in_softirq(void);
extern bool umc_in_serving_softirq(void);
extern bool umc_in_atomic(void);
extern bool umc_preemptible(void);

#define in_atomic() umc_in_atomic()
#define preemptible() umc_preemptible()
#define in_softirq() umc_in_softirq()
#define in_serving_softirq() umc_in_serving_softirq()
#define in_interrupt() umc_in_softirq()
#define in_task() (!umc_in_serving_softirq())
/* There are no hard interrupts and no NMIs. */
#define in_hardirq() (false)
#define in_irq() (false)
#define in_nmi() (false)

extern void migrate_disable(void);
extern void migrate_enable(void);

#endif
