/* SPDX-License-Identifier: GPL-2.0-only */
/* There is no page cache, so nothing is written back: only what includes of this header bring along (API of Linux 6.12). */
#ifndef UMC_LINUX_WRITEBACK_H
#define UMC_LINUX_WRITEBACK_H

#include <linux/sched.h>
#include <linux/workqueue.h>
#include <linux/fs.h>
#include <linux/blk-cgroup.h>

#endif
