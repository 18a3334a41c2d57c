/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work items: types. API of Linux 6.12. Rust owner: workqueue.rs.
 */
#ifndef UMC_LINUX_WORKQUEUE_TYPES_H
#define UMC_LINUX_WORKQUEUE_TYPES_H

#include <linux/atomic.h>
#include <linux/types.h>

struct workqueue_struct;
struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);

/* `data` is a pending bit, two of workqueue.rs's own, and the queue of a queued item; `entry` only keeps the size. */
/* umc: shared */
struct work_struct {
	atomic_long_t data;
	struct list_head entry;
	work_func_t func;
};

#endif
