/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Commands by io_uring (API of Linux 6.12): none reaches a node, so what a driver does with one is compiled and never called.
 */
#ifndef UMC_LINUX_IO_URING_CMD_H
#define UMC_LINUX_IO_URING_CMD_H

#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/types.h>

struct iov_iter;

enum io_uring_cmd_flags {
	IO_URING_F_COMPLETE_DEFER = 1,
	IO_URING_F_UNLOCKED = 2,
	IO_URING_F_NONBLOCK = (int)0x80000000,
	IO_URING_F_SQE128 = 1 << 8,
	IO_URING_F_CQE32 = 1 << 9,
	IO_URING_F_IOPOLL = 1 << 10,
};

#define IORING_URING_CMD_FIXED	(1U << 0)

/* umc: shared */
struct io_uring_cmd {
	struct file *file;
	const void *sqe;
	u32 cmd_op;
	u32 flags;
	u8 pdu[32];
};

#define io_uring_cmd_to_pdu(cmd, pdu_type) ((pdu_type *)&(cmd)->pdu)
#define io_uring_sqe_cmd(sqe) ((const void *)(sqe))

typedef void (*io_uring_cmd_tw_t)(struct io_uring_cmd *cmd, unsigned int issue_flags);

static inline int io_uring_cmd_import_fixed(u64 ubuf, unsigned long len, int rw, struct iov_iter *iter, void *ioucmd)
{
	return -EOPNOTSUPP;
}

static inline void io_uring_cmd_done(struct io_uring_cmd *cmd, ssize_t ret, u64 res2, unsigned int issue_flags)
{
}

static inline void io_uring_cmd_do_in_task_lazy(struct io_uring_cmd *cmd, io_uring_cmd_tw_t task_work_cb)
{
}

#endif
