// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks that spin, with threads and a timer on them at once: reader-writer locks in all their ways, spin_lock_bh, and
 * counts whose last reference is dropped under a lock.
 */
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include "check.h"

#define ROUNDS 5000
#define WRITERS 2
#define THREADS 6

static DEFINE_RWLOCK(pair_lock);
static DEFINE_SPINLOCK(bh_lock);
/* Equal whenever nobody writes. */
static long left, right;
static long under_bh;
static bool stop_ticking;
static unsigned long ticks;
static DECLARE_COMPLETION(ticked);

static void read_pair(int way)
{
	unsigned long flags;

	switch (way % 3) {
	case 0:
		read_lock(&pair_lock);
		CHECK_EQ(left, right);
		read_unlock(&pair_lock);
		break;
	case 1:
		read_lock_irq(&pair_lock);
		CHECK(irqs_disabled());
		CHECK_EQ(left, right);
		read_unlock_irq(&pair_lock);
		break;
	default:
		read_lock_irqsave(&pair_lock, flags);
		CHECK_EQ(left, right);
		read_unlock_irqrestore(&pair_lock, flags);
	}
	CHECK(!irqs_disabled());
}

static void write_pair(int way)
{
	unsigned long flags;

	if (way % 2) {
		write_lock_irq(&pair_lock);
		left++;
		right++;
		write_unlock_irq(&pair_lock);
	} else {
		local_irq_disable();
		write_lock_irqsave(&pair_lock, flags);
		left++;
		right++;
		write_unlock_irqrestore(&pair_lock, flags);
		CHECK(irqs_disabled());
		local_irq_enable();
	}
}

static void work_on_pair(int number)
{
	for (int round = 0; round < ROUNDS; round++) {
		if (number < WRITERS)
			write_pair(number + round);
		else
			read_pair(number + round);
		spin_lock_bh(&bh_lock);
		CHECK(in_softirq());
		under_bh++;
		spin_unlock_bh(&bh_lock);
	}
}

static void tick(struct timer_list *timer)
{
	CHECK(in_serving_softirq());
	read_lock(&pair_lock);
	CHECK_EQ(left, right);
	read_unlock(&pair_lock);
	spin_lock(&bh_lock);
	under_bh++;
	spin_unlock(&bh_lock);
	if (++ticks == 10)
		complete(&ticked);
	if (!READ_ONCE(stop_ticking))
		mod_timer(timer, jiffies + 1);
}

static DEFINE_TIMER(ticker, tick);

static void threads_and_a_timer(void)
{
	mod_timer(&ticker, jiffies);
	check_together(THREADS, work_on_pair);
	CHECK_COMES(&ticked);
	WRITE_ONCE(stop_ticking, true);
	timer_delete_sync(&ticker);
	CHECK_EQ(left, WRITERS * ROUNDS);
	CHECK_EQ(under_bh, THREADS * ROUNDS + ticks);
}

static bool timer_has_read, writer_has_written;

static void read_in_timer(struct timer_list *timer)
{
	read_lock(&pair_lock);
	CHECK(!writer_has_written);
	read_unlock(&pair_lock);
	smp_store_release(&timer_has_read, true);
}

static DEFINE_TIMER(reader, read_in_timer);

static void write_once(int number)
{
	write_lock_irq(&pair_lock);
	CHECK(timer_has_read);
	writer_has_written = true;
	write_unlock_irq(&pair_lock);
}

/* A writer that waits holds off other readers, but not those in a soft interrupt: they may have interrupted a reader. */
static void reader_in_a_timer_passes_a_waiting_writer(void)
{
	unsigned long end = jiffies + CHECK_BOUND;
	DECLARE_COMPLETION_ONSTACK(may_write);
	struct check_thread writer;
	bool held_off = false;

	if (!check_thread_run(&writer, &may_write, write_once, 0))
		return;
	read_lock(&pair_lock);
	complete(&may_write);
	while (!held_off && time_before(jiffies, end)) {
		held_off = !read_trylock(&pair_lock);
		if (!held_off)
			read_unlock(&pair_lock);
		cpu_relax();
	}
	CHECK(held_off);
	mod_timer(&reader, jiffies);
	while (!smp_load_acquire(&timer_has_read) && time_before(jiffies, end))
		cpu_relax();
	CHECK(timer_has_read);
	CHECK(!writer_has_written);
	read_unlock(&pair_lock);
	check_thread_end(&writer);
	timer_delete_sync(&reader);
	CHECK(writer_has_written);
}

static struct kref counted;
static DEFINE_SPINLOCK(release_lock);
static DEFINE_MUTEX(release_mutex);
static int released;

static void release_under_lock(struct kref *kref)
{
	CHECK(spin_is_locked(&release_lock));
	released++;
	spin_unlock(&release_lock);
}

static void release_under_mutex(struct kref *kref)
{
	CHECK(mutex_is_locked(&release_mutex));
	released++;
	mutex_unlock(&release_mutex);
}

static void drop_under_lock(int number)
{
	for (int round = 0; round < ROUNDS; round++)
		if (kref_get_unless_zero(&counted))
			kref_put_lock(&counted, release_under_lock, &release_lock);
	kref_put_lock(&counted, release_under_lock, &release_lock);
}

static void drop_under_mutex(int number)
{
	for (int round = 0; round < ROUNDS; round++)
		if (kref_get_unless_zero(&counted))
			kref_put_mutex(&counted, release_under_mutex, &release_mutex);
	kref_put_mutex(&counted, release_under_mutex, &release_mutex);
}

static void last_reference(void (*drop)(int number))
{
	released = 0;
	kref_init(&counted);
	for (int i = 1; i < THREADS; i++)
		kref_get(&counted);
	check_together(THREADS, drop);
	CHECK_EQ(released, 1);
	CHECK(!kref_get_unless_zero(&counted));
	CHECK(!spin_is_locked(&release_lock));
	CHECK(!mutex_is_locked(&release_mutex));
}

static void counts(void)
{
	refcount_t count;

	refcount_set(&count, 1);
	refcount_inc(&count);
	CHECK(refcount_inc_not_zero(&count));
	CHECK_EQ(refcount_read(&count), 3);
	CHECK(!refcount_sub_and_test(2, &count));
	CHECK(refcount_sub_and_test(1, &count));
	CHECK(!refcount_inc_not_zero(&count));
}

static int __init locks_init(void)
{
	threads_and_a_timer();
	reader_in_a_timer_passes_a_waiting_writer();
	last_reference(drop_under_lock);
	last_reference(drop_under_mutex);
	counts();
	return check_result();
}

static void __exit locks_exit(void)
{
}

module_init(locks_init);
module_exit(locks_exit);
MODULE_LICENSE("GPL");
