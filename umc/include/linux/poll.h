/* SPDX-License-Identifier: GPL-2.0-only */
/* The poll of a character device. API of 6.12; a driver's wait queues are watched for as long as the file is open.
 * Rust owner: umc/src/fs/char_file.rs. */
#ifndef UMC_LINUX_POLL_H
#define UMC_LINUX_POLL_H

#include <linux/types.h>
#include <linux/wait.h>
#include <linux/fs.h>

#define EPOLLIN		((__force __poll_t)0x00000001)
#define EPOLLPRI	((__force __poll_t)0x00000002)
#define EPOLLOUT	((__force __poll_t)0x00000004)
#define EPOLLERR	((__force __poll_t)0x00000008)
#define EPOLLHUP	((__force __poll_t)0x00000010)
#define EPOLLRDNORM	((__force __poll_t)0x00000040)
#define EPOLLWRNORM	((__force __poll_t)0x00000100)

#define DEFAULT_POLLMASK (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM)

struct poll_table_struct;
typedef void (*poll_queue_proc)(struct file *, wait_queue_head_t *, struct poll_table_struct *);

/* umc: shared */
struct poll_table_struct {
	poll_queue_proc _qproc;
	__poll_t _key;
};
typedef struct poll_table_struct poll_table;

static inline void poll_wait(struct file *file, wait_queue_head_t *wq, poll_table *table)
{
	if (table && table->_qproc && wq)
		table->_qproc(file, wq, table);
}

static inline __poll_t poll_requested_events(const poll_table *table)
{
	return table ? table->_key : ~(__force __poll_t)0;
}

#endif
