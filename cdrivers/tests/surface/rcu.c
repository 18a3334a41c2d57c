// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests on a list that is read under RCU: several threads add and remove, others walk it and hold on to what they find,
 * and each request is freed by call_rcu() into a cache that is destroyed after rcu_barrier(). Every callback runs once.
 */
#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "check.h"

#define CHANGERS 3
#define WALKERS 3
#define EACH 3000
#define ALL (CHANGERS * EACH)
#define ALIVE 0x51e37a11

struct request {
	struct list_head list;
	struct rcu_head rcu;
	struct kref kref;
	unsigned int alive;
	int number;
};

static struct kmem_cache *requests;
static LIST_HEAD(log);
static DEFINE_SPINLOCK(log_lock);
static DECLARE_BITMAP(reclaimed, ALL);
static atomic_t reclaims = ATOMIC_INIT(0), changing = ATOMIC_INIT(0), walked = ATOMIC_INIT(0);

static void reclaim(struct rcu_head *head)
{
	struct request *request = container_of(head, struct request, rcu);

	CHECK(in_softirq());
	CHECK_EQ(request->alive, ALIVE);
	CHECK(!test_and_set_bit(request->number, reclaimed));
	request->alive = 0;
	atomic_inc(&reclaims);
	kmem_cache_free(requests, request);
}

static void release(struct kref *kref)
{
	call_rcu(&container_of(kref, struct request, kref)->rcu, reclaim);
}

static struct request *new_request(int number)
{
	struct request *request = kmem_cache_alloc(requests, GFP_KERNEL);

	if (!CHECK(request))
		return NULL;
	kref_init(&request->kref);
	request->alive = ALIVE;
	request->number = number;
	return request;
}

/* Takes the oldest or the newest away again, as soon as the list is long. */
static void change(int number)
{
	for (int i = 0; i < EACH; i++) {
		struct request *request = new_request(number * EACH + i), *gone = NULL;

		if (!request)
			break;
		spin_lock_irq(&log_lock);
		if (i % 2)
			list_add_rcu(&request->list, &log);
		else
			list_add_tail_rcu(&request->list, &log);
		if (i > 20) {
			gone = i % 3 ? list_first_entry(&log, struct request, list) :
				       list_last_entry(&log, struct request, list);
			list_del_rcu(&gone->list);
		}
		spin_unlock_irq(&log_lock);
		if (gone)
			kref_put(&gone->kref, release);
	}
	atomic_dec(&changing);
}

/* From the first one, or from where the last walk was left if that request still lives. */
static void walk(int number)
{
	struct request *held = NULL;

	do {
		struct request *request, *next = NULL;
		int steps = 0;

		rcu_read_lock();
		request = list_first_or_null_rcu(&log, struct request, list);
		if (request) {
			list_for_each_entry_from_rcu(request, &log, list) {
				CHECK_EQ(request->alive, ALIVE);
				if (++steps == 10 + number && kref_get_unless_zero(&request->kref))
					next = request;
				if (steps > 100)
					break;
			}
		}
		rcu_read_unlock();
		if (held) {
			CHECK_EQ(held->alive, ALIVE);
			kref_put(&held->kref, release);
		}
		held = next;
		atomic_add(steps, &walked);
	} while (atomic_read(&changing));
	if (held)
		kref_put(&held->kref, release);
}

static void change_and_walk(int number)
{
	if (number < CHANGERS)
		change(number);
	else
		walk(number - CHANGERS);
}

static void requests_come_and_go(void)
{
	struct request *request, *next;

	requests = kmem_cache_create("surface_requests", sizeof(struct request), 0, 0, NULL);
	if (!CHECK(requests))
		return;
	atomic_set(&changing, CHANGERS);
	check_together(CHANGERS + WALKERS, change_and_walk);
	CHECK(atomic_read(&walked) > 0);
	list_for_each_entry_safe(request, next, &log, list) {
		list_del_rcu(&request->list);
		kref_put(&request->kref, release);
	}
	rcu_barrier();
	CHECK_EQ(atomic_read(&reclaims), ALL);
	CHECK_EQ(bitmap_weight(reclaimed, ALL), ALL);
	kmem_cache_destroy(requests);
}

struct peer {
	struct list_head list;
	bool unlinked;
};

static LIST_HEAD(peers);
static atomic_t looks = ATOMIC_INIT(0);

static void look_at_peers(int number)
{
	do {
		struct peer *peer;
		int seen = 0;

		rcu_read_lock();
		list_for_each_entry_rcu(peer, &peers, list) {
			CHECK(!READ_ONCE(peer->unlinked));
			/* A walk that began before the splice ends at the head that it began at. */
			if (!CHECK(++seen <= 2 * ALL))
				break;
		}
		rcu_read_unlock();
		atomic_inc(&looks);
	} while (atomic_read(&changing));
}

/* As a device goes that was not made in full: nobody finds its peers any more, and then their links may be written. */
static void splice(void)
{
	for (int round = 0; round < 60; round++) {
		struct peer few[4];
		struct peer *peer, *next;
		LIST_HEAD(gone);

		for (int i = 0; i < ARRAY_SIZE(few); i++) {
			few[i].unlinked = false;
			list_add_rcu(&few[i].list, &peers);
		}
		list_splice_init_rcu(&peers, &gone, synchronize_rcu);
		CHECK(list_empty(&peers));
		list_for_each_entry_safe(peer, next, &gone, list) {
			WRITE_ONCE(peer->unlinked, true);
			list_del(&peer->list);
		}
	}
	atomic_dec(&changing);
}

static void splice_and_look(int number)
{
	if (number)
		look_at_peers(number);
	else
		splice();
}

static int __init rcu_init(void)
{
	requests_come_and_go();
	atomic_set(&changing, 1);
	check_together(1 + WALKERS, splice_and_look);
	CHECK(atomic_read(&looks) > 0);
	return check_result();
}

static void __exit rcu_exit(void)
{
}

module_init(rcu_init);
module_exit(rcu_exit);
MODULE_LICENSE("GPL");
