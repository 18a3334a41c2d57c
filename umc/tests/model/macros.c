/* SPDX-License-Identifier: GPL-2.0-only */
/* The macros and inline functions of the headers, as functions for the model tests. Compiled as a driver is. */

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

typedef bool (*condition_fn)(void *arg);

void model_wait_event(wait_queue_head_t *head, condition_fn cond, void *arg);
int model_wait_event_interruptible(wait_queue_head_t *head, condition_fn cond, void *arg);
int model_wait_event_interruptible_exclusive(wait_queue_head_t *head, condition_fn cond, void *arg);
long model_wait_event_timeout(wait_queue_head_t *head, condition_fn cond, void *arg, long timeout);
long model_wait_event_interruptible_timeout(wait_queue_head_t *head, condition_fn cond, void *arg,
					    long timeout);
void model_wait_event_lock_irq(wait_queue_head_t *head, condition_fn cond, void *arg, spinlock_t *lock);
void model_init_waitqueue_head(wait_queue_head_t *head);
void model_init_wait(wait_queue_entry_t *entry);
void model_set_current_state(int state);
void model_set_running(void);
void model_init_work(struct work_struct *work, work_func_t func);
void model_init_delayed_work(struct delayed_work *work, work_func_t func);
u64 *model_static_slots(void);
u64 *model_get_cpu_ptr(u64 *slots);
void model_put_cpu_ptr(u64 *slots);
u64 *model_this_cpu_ptr(u64 *slots);
void model_this_cpu_inc(u64 *slots);
u64 model_percpu_sum(u64 *slots);
int model_percpu_initialized(void);
void model_kref_init(struct kref *kref);
void model_kref_get(struct kref *kref);
int model_kref_get_unless_zero(struct kref *kref);
int model_kref_put(struct kref *kref, void (*release)(struct kref *kref));
int model_kref_put_mutex(struct kref *kref, void (*release)(struct kref *kref), struct mutex *lock);

void model_wait_event(wait_queue_head_t *head, condition_fn cond, void *arg)
{
	wait_event(*head, cond(arg));
}

int model_wait_event_interruptible(wait_queue_head_t *head, condition_fn cond, void *arg)
{
	return wait_event_interruptible(*head, cond(arg));
}

int model_wait_event_interruptible_exclusive(wait_queue_head_t *head, condition_fn cond, void *arg)
{
	return wait_event_interruptible_exclusive(*head, cond(arg));
}

long model_wait_event_timeout(wait_queue_head_t *head, condition_fn cond, void *arg, long timeout)
{
	return wait_event_timeout(*head, cond(arg), timeout);
}

long model_wait_event_interruptible_timeout(wait_queue_head_t *head, condition_fn cond, void *arg,
					    long timeout)
{
	return wait_event_interruptible_timeout(*head, cond(arg), timeout);
}

void model_wait_event_lock_irq(wait_queue_head_t *head, condition_fn cond, void *arg, spinlock_t *lock)
{
	wait_event_lock_irq(*head, cond(arg), *lock);
}

void model_init_waitqueue_head(wait_queue_head_t *head)
{
	init_waitqueue_head(head);
}

void model_init_wait(wait_queue_entry_t *entry)
{
	init_wait(entry);
}

void model_set_current_state(int state)
{
	set_current_state(state);
}

void model_set_running(void)
{
	__set_current_state(TASK_RUNNING);
}

void model_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

void model_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

static DEFINE_PER_CPU(u64, model_slots);

struct model_pair {
	u8 first[70];
	u64 *second;
};

DEFINE_PER_CPU(int, model_three) = 3;
static DEFINE_PER_CPU(struct model_pair, model_pairs) = { .first = "abc", .second = &model_slots };
static DEFINE_PER_CPU(int[3], model_array) = { 1, 2, 3 };

/* How many CPUs have what the initializers say. */
int model_percpu_initialized(void)
{
	int cpus = 0;

	for (int cpu = 0; cpu < NR_CPUS; cpu++) {
		struct model_pair *pair = per_cpu_ptr(&model_pairs, cpu);
		bool is_three = per_cpu(model_three, cpu) == 3;

		cpus += is_three && pair->first[2] == 'c' && pair->second == &model_slots &&
			per_cpu(model_array, cpu)[2] == 3;
	}
	return cpus;
}

u64 *model_static_slots(void)
{
	return &model_slots;
}

u64 *model_get_cpu_ptr(u64 *slots)
{
	return get_cpu_ptr(slots);
}

void model_put_cpu_ptr(u64 *slots)
{
	put_cpu_ptr(slots);
}

u64 *model_this_cpu_ptr(u64 *slots)
{
	return this_cpu_ptr(slots);
}

void model_this_cpu_inc(u64 *slots)
{
	this_cpu_inc(*slots);
}

u64 model_percpu_sum(u64 *slots)
{
	unsigned int cpu;
	u64 sum = 0;

	for_each_possible_cpu(cpu)
		sum += *per_cpu_ptr(slots, cpu);
	return sum;
}

void model_kref_init(struct kref *kref)
{
	kref_init(kref);
}

void model_kref_get(struct kref *kref)
{
	kref_get(kref);
}

int model_kref_get_unless_zero(struct kref *kref)
{
	return kref_get_unless_zero(kref);
}

int model_kref_put(struct kref *kref, void (*release)(struct kref *kref))
{
	return kref_put(kref, release);
}

int model_kref_put_mutex(struct kref *kref, void (*release)(struct kref *kref), struct mutex *lock)
{
	return kref_put_mutex(kref, release, lock);
}
