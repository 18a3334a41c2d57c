/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work queues. API of Linux 6.12. Rust owner: workqueue.rs.
 * Kept: an item that is pending stays on its queue; WQ_UNBOUND and WQ_CPU_INTENSIVE items run as soon as max_active
 * allows; a WQ_MEM_RECLAIM queue needs no new thread to go on; items of a WQ_BH queue run as in a soft interrupt.
 * Differs: each queue has its own threads, started as needed. CPU and NUMA arguments are hints that change nothing. A
 * node is never suspended, so nothing freezes a WQ_FREEZABLE queue. A WQ_BH queue runs one item at a time, not one a CPU;
 * to wait for its items is to sleep, also in cancel_work_sync(). Of a queue without the two flags one item a CPU is awake at a time,
 * until the next one has waited for 10 ms.
 */
#ifndef UMC_LINUX_WORKQUEUE_H
#define UMC_LINUX_WORKQUEUE_H

#include <linux/timer.h>
#include <linux/bitops.h>
#include <linux/lockdep.h>
#include <linux/threads.h>
#include <linux/atomic.h>
#include <linux/cpumask_types.h>
#include <linux/rcupdate.h>
#include <linux/workqueue_types.h>

/* umc: shared */
struct delayed_work {
	struct work_struct work;
	struct timer_list timer;
	struct workqueue_struct *wq;
	int cpu;
};

/* umc: shared */
struct rcu_work {
	struct work_struct work;
	struct rcu_head rcu;
	struct workqueue_struct *wq;
};

enum wq_flags {
	WQ_BH = 1 << 0,
	WQ_UNBOUND = 1 << 1,
	WQ_FREEZABLE = 1 << 2,
	WQ_MEM_RECLAIM = 1 << 3,
	WQ_HIGHPRI = 1 << 4,
	WQ_CPU_INTENSIVE = 1 << 5,
	WQ_SYSFS = 1 << 6,
	WQ_POWER_EFFICIENT = 1 << 7,
	WQ_PERCPU = 1 << 8,
	__WQ_DESTROYING = 1 << 15,
	__WQ_DRAINING = 1 << 16,
	__WQ_ORDERED = 1 << 17,
	__WQ_LEGACY = 1 << 18,
};

enum wq_consts {
	WQ_MAX_ACTIVE = 512,
	WQ_UNBOUND_MAX_ACTIVE = WQ_MAX_ACTIVE,
	WQ_DFL_ACTIVE = WQ_MAX_ACTIVE / 2,
	WQ_DFL_MIN_ACTIVE = 8,
};

enum work_bits_umc {
	WORK_STRUCT_PENDING_BIT = 0,
	WORK_CPU_UNBOUND = NR_CPUS,
	/* Answers of work_busy(). */
	WORK_BUSY_PENDING = 1 << 0,
	WORK_BUSY_RUNNING = 1 << 1,
};

#define WORK_DATA_INIT() ATOMIC_LONG_INIT(0)
#define __WORK_INITIALIZER(name, callback) \
	{ .data = WORK_DATA_INIT(), .entry = { &(name).entry, &(name).entry }, .func = (callback) }
#define __DELAYED_WORK_INITIALIZER(name, callback, timer_flags)            \
	{ .work = __WORK_INITIALIZER((name).work, (callback)),             \
	  .timer = __TIMER_INITIALIZER(delayed_work_timer_fn, (timer_flags)) }
#define DECLARE_WORK(name, callback) struct work_struct name = __WORK_INITIALIZER(name, callback)
#define DECLARE_DELAYED_WORK(name, callback) \
	struct delayed_work name = __DELAYED_WORK_INITIALIZER(name, callback, 0)

extern void delayed_work_timer_fn(struct timer_list *timer);

#define INIT_WORK(_work, _func)                                            \
	do {                                                               \
		struct work_struct *umc_work = (_work);                    \
		umc_work->data = (atomic_long_t)WORK_DATA_INIT();          \
		umc_work->entry.next = &umc_work->entry;                   \
		umc_work->entry.prev = &umc_work->entry;                   \
		umc_work->func = (_func);                                  \
	} while (0)
#define INIT_DELAYED_WORK(_work, _func)                                    \
	do {                                                               \
		struct delayed_work *umc_delayed = (_work);                \
		INIT_WORK(&umc_delayed->work, (_func));                    \
		timer_setup(&umc_delayed->timer, delayed_work_timer_fn, 0); \
	} while (0)
#define INIT_WORK_ONSTACK(work, func) INIT_WORK(work, func)
#define INIT_DELAYED_WORK_ONSTACK(work, func) INIT_DELAYED_WORK(work, func)
#define INIT_DEFERRABLE_WORK(work, func) INIT_DELAYED_WORK(work, func)
#define INIT_RCU_WORK(_work, _func) INIT_WORK(&(_work)->work, (_func))
/* Nothing was registered for an item on the stack. */
#define destroy_work_on_stack(work) do { (void)(work); } while (0)
#define destroy_delayed_work_on_stack(work) do { (void)(work); } while (0)

static inline bool work_pending(struct work_struct *work)
{
	return __atomic_load_n(&work->data.counter, __ATOMIC_RELAXED) & 1;
}

#define delayed_work_pending(delayed) work_pending(&(delayed)->work)

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

static inline struct rcu_work *to_rcu_work(struct work_struct *work)
{
	return container_of(work, struct rcu_work, work);
}

#define from_work(var, callback_work, field) container_of(callback_work, typeof(*var), field)

enum umc_system_wq {
	UMC_SYSTEM_WQ,
	UMC_SYSTEM_HIGHPRI_WQ,
	UMC_SYSTEM_LONG_WQ,
	UMC_SYSTEM_UNBOUND_WQ,
	UMC_SYSTEM_BH_WQ,
	UMC_SYSTEM_BH_HIGHPRI_WQ,
};

extern struct workqueue_struct *umc_system_wq(enum umc_system_wq which);

#define system_wq umc_system_wq(UMC_SYSTEM_WQ)
#define system_percpu_wq umc_system_wq(UMC_SYSTEM_WQ)
#define system_highpri_wq umc_system_wq(UMC_SYSTEM_HIGHPRI_WQ)
#define system_long_wq umc_system_wq(UMC_SYSTEM_LONG_WQ)
#define system_unbound_wq umc_system_wq(UMC_SYSTEM_UNBOUND_WQ)
#define system_dfl_wq umc_system_wq(UMC_SYSTEM_UNBOUND_WQ)
#define system_freezable_wq umc_system_wq(UMC_SYSTEM_WQ)
#define system_power_efficient_wq umc_system_wq(UMC_SYSTEM_WQ)
#define system_freezable_power_efficient_wq umc_system_wq(UMC_SYSTEM_WQ)
#define system_bh_wq umc_system_wq(UMC_SYSTEM_BH_WQ)
#define system_bh_highpri_wq umc_system_wq(UMC_SYSTEM_BH_HIGHPRI_WQ)

/* The name is a printf format. Written in C (glue/kthread.c), over umc_alloc_workqueue. */
extern __printf(1, 4) struct workqueue_struct *
alloc_workqueue(const char *fmt, unsigned int flags, int max_active, ...); /* may sleep */
extern struct workqueue_struct *umc_alloc_workqueue(const char *name, unsigned int flags, int max_active);

#define alloc_ordered_workqueue(fmt, flags, args...) \
	alloc_workqueue(fmt, WQ_UNBOUND | __WQ_ORDERED | (flags), 1, ##args)
#define create_workqueue(name) alloc_workqueue("%s", __WQ_LEGACY | WQ_MEM_RECLAIM, 1, (name))
#define create_freezable_workqueue(name) \
	alloc_workqueue("%s", __WQ_LEGACY | WQ_FREEZABLE | WQ_UNBOUND | WQ_MEM_RECLAIM, 1, (name))
#define create_singlethread_workqueue(name) \
	alloc_ordered_workqueue("%s", __WQ_LEGACY | WQ_MEM_RECLAIM, (name))

extern void destroy_workqueue(struct workqueue_struct *wq); /* may sleep */
extern void workqueue_set_max_active(struct workqueue_struct *wq, int max_active);
extern bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work);
extern bool queue_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *work,
				  unsigned long delay);
extern bool mod_delayed_work_on(int cpu, struct workqueue_struct *wq, struct delayed_work *work,
				unsigned long delay);
extern bool queue_rcu_work(struct workqueue_struct *wq, struct rcu_work *work);
extern void __flush_workqueue(struct workqueue_struct *wq); /* may sleep */
extern void drain_workqueue(struct workqueue_struct *wq); /* may sleep */
extern bool flush_work(struct work_struct *work); /* may sleep */
extern bool flush_delayed_work(struct delayed_work *work); /* may sleep */
extern bool cancel_work(struct work_struct *work);
extern bool cancel_work_sync(struct work_struct *work); /* may sleep */
extern bool cancel_delayed_work(struct delayed_work *work);
extern bool cancel_delayed_work_sync(struct delayed_work *work); /* may sleep */
extern struct work_struct *current_work(void);
extern unsigned int work_busy(struct work_struct *work);
extern bool workqueue_congested(int cpu, struct workqueue_struct *wq);

#define flush_workqueue(wq) __flush_workqueue(wq)
#define flush_scheduled_work() __flush_workqueue(system_wq)

static inline bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	return queue_work_on(WORK_CPU_UNBOUND, wq, work);
}

static inline bool queue_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
				      unsigned long delay)
{
	return queue_delayed_work_on(WORK_CPU_UNBOUND, wq, work, delay);
}

static inline bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
				    unsigned long delay)
{
	return mod_delayed_work_on(WORK_CPU_UNBOUND, wq, work, delay);
}

static inline bool schedule_work(struct work_struct *work)
{
	return queue_work(system_wq, work);
}

static inline bool schedule_work_on(int cpu, struct work_struct *work)
{
	return queue_work_on(cpu, system_wq, work);
}

static inline bool schedule_delayed_work(struct delayed_work *work, unsigned long delay)
{
	return queue_delayed_work(system_wq, work, delay);
}

static inline bool schedule_delayed_work_on(int cpu, struct delayed_work *work, unsigned long delay)
{
	return queue_delayed_work_on(cpu, system_wq, work, delay);
}

#endif
