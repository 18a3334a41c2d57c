// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of small numbers, found under RCU while they change; searches in bitmaps; the first of a tree.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/find.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include "check.h"

#define NUMBERS 64
#define CHANGERS 3
#define WALKERS 2
#define ROUNDS 400

struct device {
	struct rcu_head rcu;
	unsigned int alive;
	int number;
};

static DEFINE_IDR(devices);
static DEFINE_MUTEX(change_mutex);
static atomic_t changing = ATOMIC_INIT(CHANGERS), devices_alive = ATOMIC_INIT(0);

static void reclaim_device(struct rcu_head *head)
{
	struct device *device = container_of(head, struct device, rcu);

	device->alive = 0;
	kfree(device);
	atomic_dec(&devices_alive);
}

static void remove_device(int number)
{
	struct device *device = idr_remove(&devices, number);

	CHECK_EQ(device->number, number);
	call_rcu(&device->rcu, reclaim_device);
}

/* The number is wanted, and no other. */
static void add_or_remove_device(int number)
{
	struct device *device = kzalloc(sizeof(*device), GFP_KERNEL);

	if (!CHECK(device))
		return;
	device->alive = 1;
	device->number = number;
	mutex_lock(&change_mutex);
	if (idr_find(&devices, number)) {
		CHECK_EQ(idr_alloc(&devices, device, number, number + 1, GFP_NOWAIT), -ENOSPC);
		kfree(device);
		remove_device(number);
	} else {
		atomic_inc(&devices_alive);
		CHECK_EQ(idr_alloc(&devices, device, number, number + 1, GFP_NOWAIT), number);
	}
	mutex_unlock(&change_mutex);
}

static void walk_devices(void)
{
	struct device *device;
	int number, last = -1;

	rcu_read_lock();
	idr_for_each_entry(&devices, device, number) {
		CHECK_EQ(device->alive, 1);
		CHECK_EQ(device->number, number);
		CHECK(number > last);
		last = number;
	}
	/* As a dump goes on behind what it has told. */
	number = NUMBERS / 2;
	device = idr_get_next(&devices, &number);
	if (device) {
		CHECK(number >= NUMBERS / 2);
		number++;
		idr_for_each_entry_continue(&devices, device, number)
			CHECK_EQ(device->number, number);
	}
	rcu_read_unlock();
}

static void change_or_walk(int number)
{
	if (number < CHANGERS) {
		for (int round = 0; round < ROUNDS; round++)
			add_or_remove_device((round * (number + 7)) % NUMBERS);
		atomic_dec(&changing);
	} else {
		do
			walk_devices();
		while (atomic_read(&changing));
	}
}

static void devices_come_and_go(void)
{
	struct device *device;
	int number;

	check_together(CHANGERS + WALKERS, change_or_walk);
	idr_for_each_entry(&devices, device, number)
		remove_device(number);
	CHECK(idr_is_empty(&devices));
	rcu_barrier();
	CHECK_EQ(atomic_read(&devices_alive), 0);
	idr_destroy(&devices);
}

static void bitmaps(void)
{
	DECLARE_BITMAP(bits, 200);
	unsigned long bit, sum = 0;

	bitmap_zero(bits, 200);
	CHECK_EQ(find_first_zero_bit(bits, 200), 0);
	CHECK_EQ(find_first_bit(bits, 200), 200);
	bitmap_set(bits, 0, 70);
	CHECK_EQ(find_first_zero_bit(bits, 200), 70);
	CHECK_EQ(find_first_zero_bit(bits, 64), 64);
	__set_bit(130, bits);
	CHECK_EQ(bitmap_weight(bits, 200), 71);
	CHECK_EQ(find_next_bit(bits, 200, 70), 130);
	CHECK_EQ(find_next_zero_bit(bits, 200, 0), 70);
	CHECK_EQ(find_next_bit_le(bits, 200, 131), 200);
	CHECK_EQ(find_next_zero_bit_le(bits, 200, 130), 131);
	bitmap_clear(bits, 1, 69);
	for_each_set_bit(bit, bits, 200)
		sum += bit;
	CHECK_EQ(sum, 130);
	CHECK_EQ(__ffs64(1ULL << 40), 40);
	CHECK_EQ(__ffs(0x50UL), 4);
	CHECK_EQ(ffz(0x3fUL), 6);
	CHECK_EQ(fls(0x8001), 16);
	CHECK_EQ(hweight32(0xf0f0), 8);
	CHECK_EQ(hweight64(~0ULL), 64);
	CHECK_EQ(ilog2(4096), 12);
	CHECK(is_power_of_2(64) && !is_power_of_2(65));
}

struct interval {
	struct rb_node node;
	int start;
};

static void trees(void)
{
	struct rb_root root = RB_ROOT;
	struct interval intervals[20];
	struct rb_node *node;
	int last = -1, count = 0;

	CHECK(!rb_first(&root));
	for (int i = 0; i < ARRAY_SIZE(intervals); i++) {
		struct rb_node **link = &root.rb_node, *parent = NULL;

		intervals[i].start = i * 7 % ARRAY_SIZE(intervals);
		while (*link) {
			parent = *link;
			link = intervals[i].start < rb_entry(parent, struct interval, node)->start ? &parent->rb_left :
												     &parent->rb_right;
		}
		rb_link_node(&intervals[i].node, parent, link);
		rb_insert_color(&intervals[i].node, &root);
	}
	for (node = rb_first(&root); node; node = rb_next(node)) {
		CHECK(rb_entry(node, struct interval, node)->start > last);
		last = rb_entry(node, struct interval, node)->start;
		count++;
	}
	CHECK_EQ(count, ARRAY_SIZE(intervals));
	while ((node = rb_first(&root)))
		rb_erase(node, &root);
}

/* A list that is taken over whole, with entries and without. */
static void lists(void)
{
	LIST_HEAD(from);
	LIST_HEAD(to);
	LIST_HEAD(one);

	list_replace_init(&from, &to);
	CHECK(list_empty(&from));
	CHECK(list_empty(&to));
	list_add(&one, &from);
	list_replace_init(&from, &to);
	CHECK(list_empty(&from));
	CHECK(to.next == &one && one.next == &to && to.prev == &one);
	list_splice_init(&to, &from);
	CHECK(list_is_singular(&from) && list_empty(&to));
}

static int __init tables_init(void)
{
	devices_come_and_go();
	lists();
	bitmaps();
	trees();
	return check_result();
}

static void __exit tables_exit(void)
{
}

module_init(tables_init);
module_exit(tables_exit);
MODULE_LICENSE("GPL");
