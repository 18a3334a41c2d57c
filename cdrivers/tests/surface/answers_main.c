// SPDX-License-Identifier: GPL-2.0-only
/*
 * What DRBD 9 asks of the headers before it compiles. That this module compiles is the answer that it wants; with any other
 * its sources have to be patched first. tests/drbd9/compat.rs compares all that it asks, and needs its source for it.
 */
#include <linux/blkdev.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/socket.h>
#include <linux/timer.h>

/* These are newer than 6.12. */
struct answers {
	struct timer_list timer;
	struct sockaddr_unsized *address;
	struct queue_limits limits;
	typeof(&debugfs_change_name) rename;
};

static void on_timer(struct timer_list *timer)
{
	struct answers *answers = timer_container_of(answers, timer, timer);

	answers->limits.max_hw_wzeroes_unmap_sectors = 0;
	answers->limits.max_hw_zone_append_sectors = 0;
}

static int __init answers_init(void)
{
	static struct answers answers = { .rename = debugfs_change_name };

	on_timer(&answers.timer);
	return 0;
}

static void __exit answers_exit(void)
{
}

module_init(answers_init);
module_exit(answers_exit);
MODULE_LICENSE("GPL");
