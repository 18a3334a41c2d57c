/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the modules of this directory share: checks that say their line and what they saw, a bound for whatever is waited
 * for, and several threads at once. A module that saw something wrong is not loaded: its init returns check_result().
 */
#ifndef SURFACE_CHECK_H
#define SURFACE_CHECK_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/task.h>

/* No wait is longer, in jiffies: many times what a loaded machine needs. */
#define CHECK_BOUND (20 * HZ)
#define CHECK_THREADS_MAX 8

static atomic_t checks_failed = ATOMIC_INIT(0);

/* Any context. */
#define CHECK(what) check_is(!!(what), 1, #what, __LINE__)
#define CHECK_EQ(seen, wanted) check_is((long long)(seen), (long long)(wanted), #seen, __LINE__)
/* The completion comes in time. May sleep. */
#define CHECK_COMES(done) \
	check_is(wait_for_completion_timeout((done), CHECK_BOUND) != 0, 1, #done " comes", __LINE__)

static inline bool check_is(long long seen, long long wanted, const char *what, int line)
{
	if (seen == wanted)
		return true;
	/* Of a storm of failures the first ones tell. */
	if (atomic_inc_return(&checks_failed) <= 20)
		pr_err("check failed: %s.c:%d: %s: %lld, not %lld\n", KBUILD_MODNAME, line, what, seen, wanted);
	return false;
}

static inline int check_result(void)
{
	return atomic_read(&checks_failed) ? -EINVAL : 0;
}

struct check_thread {
	struct task_struct *task;
	struct completion *start;
	struct completion done;
	void (*work)(int number);
	int number;
};

static inline int check_thread_fn(void *data)
{
	struct check_thread *thread = data;

	if (thread->start)
		wait_for_completion(thread->start);
	thread->work(thread->number);
	complete(&thread->done);
	return 0;
}

/* A thread that does `work`, once `start` is completed if there is one. False without memory. May sleep. */
#define check_thread_run(thread, start, work, number) \
	check_thread_run_at((thread), (start), (work), (number), __LINE__)

static inline bool check_thread_run_at(struct check_thread *thread, struct completion *start, void (*work)(int number),
				       int number, int line)
{
	thread->start = start;
	thread->work = work;
	thread->number = number;
	init_completion(&thread->done);
	thread->task = kthread_create(check_thread_fn, thread, "check-%d", number);
	if (!check_is(IS_ERR(thread->task), 0, "a thread is missing", line))
		return false;
	get_task_struct(thread->task);
	wake_up_process(thread->task);
	return true;
}

/* Returns when the thread is gone, and its stack with it. May sleep. */
#define check_thread_end(thread) check_thread_end_at((thread), __LINE__)

static inline void check_thread_end_at(struct check_thread *thread, int line)
{
	check_is(wait_for_completion_timeout(&thread->done, CHECK_BOUND) != 0, 1, thread->task->comm, line);
	kthread_stop(thread->task);
	put_task_struct(thread->task);
}

/* `count` threads begin together, each with its number, and all end. May sleep. */
#define check_together(count, work) check_together_at((count), (work), __LINE__)

static inline void check_together_at(int count, void (*work)(int number), int line)
{
	struct check_thread threads[CHECK_THREADS_MAX];
	DECLARE_COMPLETION_ONSTACK(start);
	int started = 0;

	while (started < count && check_thread_run_at(&threads[started], &start, work, started, line))
		started++;
	complete_all(&start);
	while (started--)
		check_thread_end_at(&threads[started], line);
}

#endif
