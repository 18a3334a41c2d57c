/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Completions. API of Linux 6.12. Rust owner: completion.rs.
 */
#ifndef UMC_LINUX_COMPLETION_H
#define UMC_LINUX_COMPLETION_H

#include <linux/types.h>
#include <linux/limits.h>

/* umc: opaque */
struct completion {
	unsigned int done;
	unsigned int umc_lock;
	void *umc_waiters[2];
};

#define COMPLETION_INITIALIZER(work) { 0, 0, { 0, 0 } }
#define COMPLETION_INITIALIZER_ONSTACK(work) ((struct completion)COMPLETION_INITIALIZER(work))
#define DECLARE_COMPLETION(work) struct completion work = COMPLETION_INITIALIZER(work)
#define DECLARE_COMPLETION_ONSTACK(work) DECLARE_COMPLETION(work)
#define init_completion_map(x, map) init_completion(x)

static inline void init_completion(struct completion *x)
{
	*x = (struct completion)COMPLETION_INITIALIZER(*x);
}

extern void reinit_completion(struct completion *x);
extern void wait_for_completion(struct completion *x); /* may sleep */
extern void wait_for_completion_io(struct completion *x); /* may sleep */
extern int wait_for_completion_interruptible(struct completion *x); /* may sleep */
extern int wait_for_completion_killable(struct completion *x); /* may sleep */
extern int wait_for_completion_state(struct completion *x, unsigned int state); /* may sleep */
extern unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout);
extern unsigned long wait_for_completion_io_timeout(struct completion *x, unsigned long timeout);
extern long wait_for_completion_interruptible_timeout(struct completion *x, unsigned long timeout);
extern long wait_for_completion_killable_timeout(struct completion *x, unsigned long timeout);
extern bool try_wait_for_completion(struct completion *x);
extern bool completion_done(struct completion *x);
extern void complete(struct completion *x);
extern void complete_all(struct completion *x);

#endif
