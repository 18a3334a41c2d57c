/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sleepable read-copy-update. API of Linux 6.12. Rust owner: srcu.rs.
 * Differs: no call_srcu(), which no driver of the catalogue uses; NMI-safe readers are ordinary ones.
 */
#ifndef UMC_LINUX_SRCU_H
#define UMC_LINUX_SRCU_H

#include <linux/rcupdate.h>

/* All zero is an initialized one. */
/* umc: opaque */
struct srcu_struct {
	unsigned long umc_words[2];
};

#define __SRCU_STRUCT_INIT { 0 }
#define DEFINE_SRCU(name) struct srcu_struct name = __SRCU_STRUCT_INIT
#define DEFINE_STATIC_SRCU(name) static struct srcu_struct name = __SRCU_STRUCT_INIT

int init_srcu_struct(struct srcu_struct *ssp);
void cleanup_srcu_struct(struct srcu_struct *ssp);
int __srcu_read_lock(struct srcu_struct *ssp);
void __srcu_read_unlock(struct srcu_struct *ssp, int idx);
void synchronize_srcu(struct srcu_struct *ssp); /* may sleep */
#define synchronize_srcu_expedited(ssp) synchronize_srcu(ssp)

#define srcu_read_lock(ssp) __srcu_read_lock(ssp)
#define srcu_read_unlock(ssp, idx) __srcu_read_unlock((ssp), (idx))
#define srcu_read_lock_nmisafe(ssp) __srcu_read_lock(ssp)
#define srcu_read_unlock_nmisafe(ssp, idx) __srcu_read_unlock((ssp), (idx))
#define srcu_read_lock_held(ssp) 1
#define smp_mb__after_srcu_read_unlock() smp_mb()

#define srcu_dereference_check(p, ssp, condition) rcu_dereference_raw(p)
#define srcu_dereference(p, ssp) rcu_dereference_raw(p)

#endif
