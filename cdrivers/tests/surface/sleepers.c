// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks that sleep: who gets in beside whom, who is woken by a signal, and what one context takes and another gives back.
 */
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/semaphore.h>
#include <linux/timer.h>
#include "check.h"

#define READERS 3
#define ROUNDS 500

static DECLARE_RWSEM(rwsem);
static struct rw_semaphore made_rwsem;
static atomic_t readers_inside = ATOMIC_INIT(0);
static struct completion all_readers_inside, readers_may_leave;
static bool writer_inside;

static void read_and_stay(int number)
{
	down_read(&rwsem);
	CHECK(!writer_inside);
	if (atomic_inc_return(&readers_inside) == READERS)
		complete(&all_readers_inside);
	wait_for_completion(&readers_may_leave);
	up_read(&rwsem);
}

static void write_next(int number)
{
	down_write(&rwsem);
	writer_inside = true;
	CHECK_EQ(atomic_read(&readers_inside), READERS);
	writer_inside = false;
	up_write(&rwsem);
}

static void a_writer_becomes_a_reader(void)
{
	struct check_thread readers[READERS], writer;

	init_completion(&all_readers_inside);
	init_completion(&readers_may_leave);
	down_write(&rwsem);
	CHECK_EQ(down_read_trylock(&rwsem), 0);
	CHECK_EQ(down_write_trylock(&rwsem), 0);
	for (int i = 0; i < READERS; i++)
		if (!check_thread_run(&readers[i], NULL, read_and_stay, i))
			return;
	CHECK_EQ(atomic_read(&readers_inside), 0);
	downgrade_write(&rwsem);
	CHECK_COMES(&all_readers_inside);
	CHECK_EQ(down_write_trylock(&rwsem), 0);
	if (!check_thread_run(&writer, NULL, write_next, READERS))
		return;
	up_read(&rwsem);
	complete_all(&readers_may_leave);
	for (int i = 0; i < READERS; i++)
		check_thread_end(&readers[i]);
	check_thread_end(&writer);
	CHECK_EQ(down_write_trylock(&rwsem), 1);
	up_write(&rwsem);
	CHECK(!rwsem_is_locked(&rwsem));
}

static bool released_for_other;

static void release_for_other(int number)
{
	CHECK_EQ(down_write_trylock(&made_rwsem), 0);
	WRITE_ONCE(released_for_other, true);
	up_read_non_owner(&made_rwsem);
}

/* As a request does that is begun by one thread and ended by another. */
static void one_reads_another_leaves(void)
{
	struct check_thread other;

	init_rwsem(&made_rwsem);
	down_read_non_owner(&made_rwsem);
	if (!check_thread_run(&other, NULL, release_for_other, 0))
		return;
	down_write(&made_rwsem);
	CHECK(READ_ONCE(released_for_other));
	up_write(&made_rwsem);
	check_thread_end(&other);
}

static long guarded, guarded_by_rwsem;
static struct semaphore sem;
static DEFINE_MUTEX(mutex);

static void exclude_each_other(int number)
{
	for (int round = 0; round < ROUNDS; round++) {
		if (down_trylock(&sem))
			down(&sem);
		WRITE_ONCE(guarded, READ_ONCE(guarded) + 1);
		up(&sem);
		if (number % 2) {
			if (!down_write_trylock(&rwsem))
				down_write(&rwsem);
			WRITE_ONCE(guarded_by_rwsem, READ_ONCE(guarded_by_rwsem) + 1);
			downgrade_write(&rwsem);
			up_read(&rwsem);
		} else {
			long before;

			down_read(&rwsem);
			before = READ_ONCE(guarded_by_rwsem);
			CHECK_EQ(READ_ONCE(guarded_by_rwsem), before);
			up_read(&rwsem);
		}
	}
}

static void up_in_timer(struct timer_list *timer)
{
	up(&sem);
}

static DEFINE_TIMER(upper, up_in_timer);

static void semaphores(void)
{
	sema_init(&sem, 1);
	check_together(6, exclude_each_other);
	CHECK_EQ(guarded, 6 * ROUNDS);
	CHECK_EQ(guarded_by_rwsem, 3 * ROUNDS);

	sema_init(&sem, 0);
	CHECK(down_trylock(&sem));
	mod_timer(&upper, jiffies + 2);
	down(&sem);
	CHECK(down_trylock(&sem));
	up(&sem);
	up(&sem);
	CHECK_EQ(down_interruptible(&sem), 0);
	CHECK_EQ(down_trylock(&sem), 0);
	timer_delete_sync(&upper);
}

static struct completion ready, unblocked, never, once;

/* Each wait is ended by a signal of its own; the next one finds nothing pending. */
static void wait_until_signalled(int number)
{
	allow_signal(SIGTERM);
	complete(&ready);
	CHECK_EQ(down_interruptible(&sem), -EINTR);
	flush_signals(current);
	complete(&ready);
	CHECK_EQ(mutex_lock_interruptible(&mutex), -EINTR);
	flush_signals(current);
	complete(&ready);
	CHECK_EQ(wait_for_completion_interruptible(&never), -ERESTARTSYS);
	flush_signals(current);
	CHECK(!signal_pending(current));
	complete(&ready);
	CHECK_EQ(wait_for_completion_interruptible(&once), 0);
	CHECK_EQ(down_interruptible(&sem), 0);
	up(&sem);
	CHECK_EQ(mutex_lock_interruptible(&mutex), 0);
	mutex_unlock(&mutex);
}

static void signals_end_waits(void)
{
	struct check_thread waiter;

	init_completion(&ready);
	init_completion(&never);
	init_completion(&once);
	sema_init(&sem, 1);
	down(&sem);
	mutex_lock(&mutex);
	if (!check_thread_run(&waiter, NULL, wait_until_signalled, 0))
		return;
	for (int wait = 0; wait < 3; wait++) {
		CHECK_COMES(&ready);
		send_sig(SIGTERM, waiter.task, 1);
	}
	CHECK_COMES(&ready);
	up(&sem);
	mutex_unlock(&mutex);
	complete(&once);
	check_thread_end(&waiter);
}

/* What is blocked waits; what is unblocked again is there. */
static void wait_with_signals_blocked(int number)
{
	sigset_t all, before;

	allow_signal(SIGTERM);
	sigfillset(&all);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &all, &before), 0);
	complete(&ready);
	CHECK_EQ(wait_for_completion_interruptible(&unblocked), 0);
	CHECK(!signal_pending(current));
	CHECK_EQ(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	CHECK(signal_pending(current));
	CHECK_EQ(wait_for_completion_interruptible(&never), -ERESTARTSYS);
	flush_signals(current);
}

static void blocked_signals(void)
{
	struct check_thread waiter;

	init_completion(&ready);
	init_completion(&unblocked);
	if (!check_thread_run(&waiter, NULL, wait_with_signals_blocked, 0))
		return;
	CHECK_COMES(&ready);
	send_sig(SIGTERM, waiter.task, 1);
	complete(&unblocked);
	check_thread_end(&waiter);
}

static void bounded_waits(void)
{
	unsigned long begin = jiffies;

	CHECK_EQ(wait_for_completion_timeout(&never, 3), 0);
	CHECK(time_after_eq(jiffies, begin + 3));
	complete(&never);
	CHECK(wait_for_completion_timeout(&never, CHECK_BOUND) > 0);
	CHECK(!completion_done(&never));
}

static int __init sleepers_init(void)
{
	a_writer_becomes_a_reader();
	one_reads_another_leaves();
	semaphores();
	signals_end_waits();
	blocked_signals();
	bounded_waits();
	return check_result();
}

static void __exit sleepers_exit(void)
{
}

module_init(sleepers_init);
module_exit(sleepers_exit);
MODULE_LICENSE("GPL");
