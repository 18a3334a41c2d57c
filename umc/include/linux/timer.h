/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Timers. API of Linux 6.12 and timer_container_of of 6.16. Rust owner: timer.rs.
 * Differs: callbacks run one at a time on the kernel thread ktimers; the TIMER_ flags change nothing.
 */
#ifndef UMC_LINUX_TIMER_H
#define UMC_LINUX_TIMER_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/ktime.h>
#include <linux/stddef.h>
#include <linux/jiffies.h>
#include <linux/container_of.h>

/* umc: shared */
struct timer_list {
	unsigned long expires;
	void (*function)(struct timer_list *timer);
	u32 flags;
	/* Of timer.rs: non-zero while pending, and the place in its queue. */
	u32 umc_pending;
	unsigned long umc_key[2];
};

#define TIMER_MIGRATING 0x00040000
#define TIMER_DEFERRABLE 0x00080000
#define TIMER_PINNED 0x00100000
#define TIMER_IRQSAFE 0x00200000

#define __TIMER_INITIALIZER(callback, timer_flags) { .function = (callback), .flags = (timer_flags) }
#define DEFINE_TIMER(name, callback) struct timer_list name = __TIMER_INITIALIZER(callback, 0)

extern void umc_timer_setup(struct timer_list *timer, void (*function)(struct timer_list *timer), u32 flags);
#define timer_setup(timer, callback, flags) umc_timer_setup((timer), (callback), (flags))
#define timer_setup_on_stack(timer, callback, flags) umc_timer_setup((timer), (callback), (flags))
#define timer_init_key(timer, func, flags, name, key) umc_timer_setup((timer), (func), (flags))
/* Nothing was registered for a timer on the stack. */
#define destroy_timer_on_stack(timer) do { (void)(timer); } while (0)

#define from_timer(var, callback_timer, field) container_of(callback_timer, typeof(*var), field)
#define timer_container_of(var, callback_timer, field) container_of(callback_timer, typeof(*var), field)

extern int timer_pending(const struct timer_list *timer);
extern void add_timer(struct timer_list *timer);
extern void add_timer_on(struct timer_list *timer, int cpu);
extern int mod_timer(struct timer_list *timer, unsigned long expires);
extern int mod_timer_pending(struct timer_list *timer, unsigned long expires);
extern int timer_reduce(struct timer_list *timer, unsigned long expires);
extern int timer_delete(struct timer_list *timer) __asm__("umc_timer_delete");
extern int timer_delete_sync(struct timer_list *timer); /* may sleep */
extern int try_to_del_timer_sync(struct timer_list *timer);
extern int timer_shutdown(struct timer_list *timer);
extern int timer_shutdown_sync(struct timer_list *timer); /* may sleep */

#define del_timer(timer) timer_delete(timer)
#define del_timer_sync(timer) timer_delete_sync(timer)

#endif
