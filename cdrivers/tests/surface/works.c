// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timers and work: what is pending, what is moved, what is cancelled while it runs, and what queues itself again.
 */
#include <linux/delay.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include "check.h"

#define THREADS 4
#define ROUNDS 300
/* Never within a test, in jiffies. */
#define LATER (1000 * HZ)

static struct completion fired;
static atomic_t fires = ATOMIC_INIT(0);

static void fire(struct timer_list *timer)
{
	atomic_inc(&fires);
	complete(&fired);
}

static DEFINE_TIMER(timer, fire);

static void timers(void)
{
	init_completion(&fired);
	CHECK_EQ(mod_timer_pending(&timer, jiffies), 0);
	CHECK(!timer_pending(&timer));
	CHECK_EQ(timer_delete(&timer), 0);
	CHECK_EQ(mod_timer(&timer, jiffies + LATER), 0);
	CHECK_EQ(mod_timer_pending(&timer, jiffies), 1);
	CHECK_COMES(&fired);
	CHECK_EQ(mod_timer_pending(&timer, jiffies), 0);
	CHECK_EQ(mod_timer(&timer, jiffies + LATER), 0);
	CHECK_EQ(timer_delete(&timer), 1);
	CHECK_EQ(timer_delete_sync(&timer), 0);
	CHECK_EQ(atomic_read(&fires), 1);
}

static atomic_t inside = ATOMIC_INIT(0);
static bool gone;

static void stay_inside(struct timer_list *timer)
{
	atomic_inc(&inside);
	CHECK(!READ_ONCE(gone));
	udelay(200);
	atomic_dec(&inside);
	mod_timer(timer, jiffies);
}

static DEFINE_TIMER(busy, stay_inside);

static void move_busy(int number)
{
	for (int round = 0; round < ROUNDS; round++) {
		mod_timer(&busy, jiffies + round % 2);
		if (round % 10 == number) {
			timer_delete(&busy);
			timer_delete_sync(&busy);
		}
	}
}

/* After timer_delete_sync() it does not run, though it arms itself. */
static void a_timer_that_arms_itself(void)
{
	check_together(THREADS, move_busy);
	mod_timer(&busy, jiffies);
	timer_delete_sync(&busy);
	WRITE_ONCE(gone, true);
	CHECK_EQ(atomic_read(&inside), 0);
	CHECK(!timer_pending(&busy));
}

static struct workqueue_struct *queue;
static atomic_t runs = ATOMIC_INIT(0);
static struct completion begun, may_end;

struct item {
	struct work_struct work;
	atomic_t inside, runs, queued;
};

static void count_run(struct work_struct *work)
{
	struct item *item = container_of(work, struct item, work);

	CHECK_EQ(atomic_inc_return(&item->inside), 1);
	atomic_inc(&item->runs);
	atomic_dec(&item->inside);
}

static struct item on_queue = { .work = __WORK_INITIALIZER(on_queue.work, count_run) };
static struct item on_system = { .work = __WORK_INITIALIZER(on_system.work, count_run) };

static void queue_items(int number)
{
	struct item *item = number % 2 ? &on_queue : &on_system;

	for (int round = 0; round < ROUNDS; round++) {
		if (number % 2 ? queue_work(queue, &item->work) : schedule_work(&item->work))
			atomic_inc(&item->queued);
		if (round % 50 == number && cancel_work_sync(&item->work))
			atomic_dec(&item->queued);
	}
}

/* An item runs once for each time it was queued, and never beside itself. */
static void items_of_several_threads(void)
{
	check_together(THREADS, queue_items);
	flush_work(&on_queue.work);
	flush_work(&on_system.work);
	CHECK_EQ(atomic_read(&on_queue.runs), atomic_read(&on_queue.queued));
	CHECK_EQ(atomic_read(&on_system.runs), atomic_read(&on_system.queued));
	CHECK(atomic_read(&on_queue.runs) > 0);
}

static void wait_inside(struct work_struct *work)
{
	complete(&begun);
	wait_for_completion(&may_end);
	atomic_inc(&runs);
}

static DECLARE_WORK(waiting, wait_inside);

static void let_it_end(struct timer_list *timer)
{
	complete(&may_end);
}

static DEFINE_TIMER(ender, let_it_end);

static void cancel_while_it_runs(void)
{
	init_completion(&begun);
	init_completion(&may_end);
	atomic_set(&runs, 0);
	CHECK(queue_work(queue, &waiting));
	CHECK_COMES(&begun);
	/* It runs, so it may be queued again; that one is taken back, and the one that runs is waited for. */
	CHECK(queue_work(queue, &waiting));
	CHECK(!queue_work(queue, &waiting));
	mod_timer(&ender, jiffies + 2);
	CHECK(cancel_work_sync(&waiting));
	CHECK_EQ(atomic_read(&runs), 1);
	CHECK(!cancel_work_sync(&waiting));
	timer_delete_sync(&ender);
}

static void count_delayed(struct work_struct *work)
{
	CHECK(to_delayed_work(work)->work.func == work->func);
	atomic_inc(&runs);
	complete(&begun);
}

static struct delayed_work delayed;

static void delayed_items(void)
{
	INIT_DELAYED_WORK(&delayed, count_delayed);
	init_completion(&begun);
	atomic_set(&runs, 0);
	CHECK(schedule_delayed_work(&delayed, LATER));
	CHECK(!schedule_delayed_work(&delayed, 0));
	CHECK(mod_delayed_work(system_wq, &delayed, 1));
	CHECK_COMES(&begun);
	CHECK(!mod_delayed_work(system_wq, &delayed, LATER));
	CHECK(cancel_delayed_work_sync(&delayed));
	CHECK(!cancel_delayed_work_sync(&delayed));
	CHECK(!mod_delayed_work(queue, &delayed, 0));
	CHECK_COMES(&begun);
	cancel_delayed_work_sync(&delayed);
	CHECK_EQ(atomic_read(&runs), 2);
}

static void again(struct work_struct *work)
{
	atomic_inc(&runs);
	if (atomic_read(&runs) == 20)
		complete(&begun);
	mod_delayed_work(system_wq, to_delayed_work(work), atomic_read(&runs) % 2);
}

/* After cancel_delayed_work_sync() it does not come back, though it queues itself. */
static void an_item_that_queues_itself(void)
{
	int seen;

	INIT_DELAYED_WORK(&delayed, again);
	init_completion(&begun);
	atomic_set(&runs, 0);
	CHECK(schedule_delayed_work(&delayed, 0));
	CHECK_COMES(&begun);
	cancel_delayed_work_sync(&delayed);
	seen = atomic_read(&runs);
	CHECK(!delayed_work_pending(&delayed));
	msleep(20);
	CHECK_EQ(atomic_read(&runs), seen);
}

static int __init works_init(void)
{
	/* As the acks of a connection are sent: apart from all, ahead of all, also without memory. */
	queue = alloc_workqueue("surface_%s", WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI, 0, "queue");
	if (!queue)
		return -ENOMEM;
	timers();
	a_timer_that_arms_itself();
	items_of_several_threads();
	cancel_while_it_runs();
	delayed_items();
	an_item_that_queues_itself();
	destroy_workqueue(queue);
	return check_result();
}

static void __exit works_exit(void)
{
}

module_init(works_init);
module_exit(works_exit);
MODULE_LICENSE("GPL");
