/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that are taken and given back, and the wait for one (API of Linux 6.12).
 * Differs: one map for all CPUs, searched from where the last one was found; one queue of those who wait; each number that
 * is given back wakes one of them.
 * Owner: umc/src/mm/sbitmap.rs
 */
#ifndef UMC_LINUX_SBITMAP_H
#define UMC_LINUX_SBITMAP_H

#include <linux/atomic.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/types.h>
#include <linux/wait.h>

/* umc: shared */
struct sbitmap {
	unsigned int depth;
	unsigned int umc_hint;
	unsigned long *umc_words;
};

/* umc: shared */
struct sbq_wait_state {
	wait_queue_head_t wait;
};

/* umc: shared */
struct sbitmap_queue {
	struct sbitmap sb;
	struct sbq_wait_state ws[1];
};

/* umc: shared */
struct sbq_wait {
	struct sbitmap_queue *sbq;
	struct wait_queue_entry wait;
};

#define DEFINE_SBQ_WAIT(name)							\
	struct sbq_wait name = {						\
		.sbq = NULL,							\
		.wait = {							\
			.private = current,					\
			.func = autoremove_wake_function,			\
			.entry = LIST_HEAD_INIT((name).wait.entry),		\
		}								\
	}

/* In the context of the flags; 0 or -ENOMEM. */
int sbitmap_queue_init_node(struct sbitmap_queue *sbq, unsigned int depth, int shift, bool round_robin, gfp_t flags,
			    int node);
/* any context */
void sbitmap_queue_free(struct sbitmap_queue *sbq);
int __sbitmap_queue_get(struct sbitmap_queue *sbq);
void sbitmap_queue_clear(struct sbitmap_queue *sbq, unsigned int nr, unsigned int cpu);
void sbitmap_prepare_to_wait(struct sbitmap_queue *sbq, struct sbq_wait_state *ws, struct sbq_wait *sbq_wait,
			     int state);
void sbitmap_finish_wait(struct sbitmap_queue *sbq, struct sbq_wait_state *ws, struct sbq_wait *sbq_wait);

/* A number, or -1 where none is free; cpu says what goes back with it. */
static inline int sbitmap_queue_get(struct sbitmap_queue *sbq, unsigned int *cpu)
{
	*cpu = raw_smp_processor_id();
	return __sbitmap_queue_get(sbq);
}

static inline struct sbq_wait_state *sbq_wait_ptr(struct sbitmap_queue *sbq, atomic_t *wait_index)
{
	return &sbq->ws[0];
}

#endif
