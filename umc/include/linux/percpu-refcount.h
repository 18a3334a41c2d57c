/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reference counts that are killed (6.12). Rust owner: percpu_ref.rs.
 * Differs: one count for all CPUs, so the two modes are one; `release` and `confirm_kill` are called by whoever kills, or
 * gives the last reference back, and not by RCU.
 */
#ifndef UMC_LINUX_PERCPU_REFCOUNT_H
#define UMC_LINUX_PERCPU_REFCOUNT_H

#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

struct percpu_ref;
typedef void (percpu_ref_func_t)(struct percpu_ref *ref);

enum {
	PERCPU_REF_INIT_ATOMIC = 1 << 0,
	PERCPU_REF_INIT_DEAD = 1 << 1,
	PERCPU_REF_ALLOW_REINIT = 1 << 2,
};

/* umc: shared */
struct percpu_ref {
	atomic_t umc_state; /* references beside the first one; the high bits say that it is killed */
	percpu_ref_func_t *release;
};

int __must_check percpu_ref_init(struct percpu_ref *ref, percpu_ref_func_t *release,
				 unsigned int flags, gfp_t gfp);
void percpu_ref_exit(struct percpu_ref *ref);
void percpu_ref_kill_and_confirm(struct percpu_ref *ref, percpu_ref_func_t *confirm_kill);
void percpu_ref_resurrect(struct percpu_ref *ref);
void percpu_ref_reinit(struct percpu_ref *ref);
bool percpu_ref_is_zero(struct percpu_ref *ref);
bool percpu_ref_is_dying(struct percpu_ref *ref);
void percpu_ref_get_many(struct percpu_ref *ref, unsigned long nr);
bool percpu_ref_tryget_many(struct percpu_ref *ref, unsigned long nr);
bool percpu_ref_tryget_live(struct percpu_ref *ref);
void percpu_ref_put_many(struct percpu_ref *ref, unsigned long nr);

#define percpu_ref_kill(ref) percpu_ref_kill_and_confirm((ref), NULL)
#define percpu_ref_get(ref) percpu_ref_get_many((ref), 1)
#define percpu_ref_tryget(ref) percpu_ref_tryget_many((ref), 1)
#define percpu_ref_tryget_live_rcu(ref) percpu_ref_tryget_live(ref)
#define percpu_ref_put(ref) percpu_ref_put_many((ref), 1)
/* There is one mode only. */
#define percpu_ref_switch_to_atomic_sync(ref) do { (void)(ref); } while (0)
#define percpu_ref_switch_to_percpu(ref) do { (void)(ref); } while (0)

#endif
