/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel threads. API of Linux 6.12. Rust owner: kthread.rs.
 * Differs: kthread_bind() keeps the mask and leaves the choice of CPU to the host. Workers of kthread_work are not provided: only
 * its type is there, for drivers that have it in their structs.
 */
#ifndef UMC_LINUX_KTHREAD_H
#define UMC_LINUX_KTHREAD_H

#include <linux/err.h>
#include <linux/sched.h>
#include <linux/numa.h>

struct completion;
struct kthread_work;
struct kthread_worker;

typedef void (*kthread_work_func_t)(struct kthread_work *work);

struct kthread_work {
	struct list_head node;
	kthread_work_func_t func;
	struct kthread_worker *worker;
	int canceling;
};

/* The name is a printf format. Written in C (glue/kthread.c), over umc_kthread_create. The thread waits for a wake-up. */
extern __printf(4, 5) struct task_struct *
kthread_create_on_node(int (*threadfn)(void *data), void *data, int node, const char namefmt[], ...);
extern struct task_struct *umc_kthread_create(int (*threadfn)(void *data), void *data, const char *name);

#define kthread_create(threadfn, data, namefmt, arg...) \
	kthread_create_on_node(threadfn, data, NUMA_NO_NODE, namefmt, ##arg)
#define kthread_run(threadfn, data, namefmt, ...)                                             \
	({                                                                                    \
		struct task_struct *umc_task = kthread_create(threadfn, data, namefmt, ##__VA_ARGS__); \
		if (!IS_ERR(umc_task))                                                        \
			wake_up_process(umc_task);                                            \
		umc_task;                                                                     \
	})

extern void kthread_bind(struct task_struct *task, unsigned int cpu);
extern void kthread_bind_mask(struct task_struct *task, const struct cpumask *mask);
extern int kthread_stop(struct task_struct *task); /* may sleep */
extern int kthread_stop_put(struct task_struct *task); /* may sleep */
extern bool kthread_should_stop(void);
extern bool kthread_should_park(void);
extern bool kthread_should_stop_or_park(void);
extern bool kthread_freezable_should_stop(bool *was_frozen);
extern void *kthread_func(struct task_struct *task);
extern void *kthread_data(struct task_struct *task);
extern int kthread_park(struct task_struct *task); /* may sleep */
extern void kthread_unpark(struct task_struct *task);
extern void kthread_parkme(void); /* may sleep */

#endif
