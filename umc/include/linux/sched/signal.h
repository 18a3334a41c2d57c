/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sending and consuming signals. API of Linux 6.12. Rust owner: signal.rs.
 * Differs: thread groups have one member; a pending signal stays until it is flushed or dequeued.
 */
#ifndef UMC_LINUX_SCHED_SIGNAL_H
#define UMC_LINUX_SCHED_SIGNAL_H

#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/sched/task.h>
#include <linux/errno.h>

extern bool signal_pending(struct task_struct *task);
extern bool fatal_signal_pending(struct task_struct *task);
extern bool signal_pending_state(unsigned int state, struct task_struct *task);
extern bool __fatal_signal_pending(struct task_struct *task);

/* A kernel thread ignores what it did not allow. Any context. */
extern int send_sig(int sig, struct task_struct *task, int priv);
extern int send_sig_info(int sig, struct kernel_siginfo *info, struct task_struct *task);
/* Sent even to a thread that did not allow it. Any context. */
extern void force_sig(int sig);

extern void flush_signals(struct task_struct *task);
extern int kernel_dequeue_signal(void);

extern int sigprocmask(int how, sigset_t *set, sigset_t *old) __asm__("umc_sigprocmask");

static inline int restart_syscall(void)
{
	return -ERESTARTNOINTR;
}

#endif
