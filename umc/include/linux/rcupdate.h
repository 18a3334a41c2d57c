/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Read-copy-update. API of Linux 6.12. Rust owner: rcupdate.rs.
 * Differs: readers are counted by task; a sleeping task is quiescent unless it went to sleep inside a section.
 * As in Linux, a grace period also waits for sections with preemption, soft interrupts or interrupts off.
 */
#ifndef UMC_LINUX_RCUPDATE_H
#define UMC_LINUX_RCUPDATE_H

#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/preempt.h>
#include <linux/bottom_half.h>
#include <linux/lockdep.h>
#include <asm/barrier.h>

typedef void (*rcu_callback_t)(struct rcu_head *head);
typedef void (*call_rcu_func_t)(struct rcu_head *head, rcu_callback_t func);

extern void __rcu_read_lock(void);
extern void __rcu_read_unlock(void);
extern void synchronize_rcu(void); /* may sleep */
extern void call_rcu(struct rcu_head *head, rcu_callback_t func);
extern void rcu_barrier(void); /* may sleep */
extern int umc_rcu_read_lock_held(void);
/* Frees `ptr` after a grace period. Without a head it waits for it first, and may sleep. */
extern void kvfree_call_rcu(struct rcu_head *head, void *ptr);
extern unsigned long get_state_synchronize_rcu(void);
extern bool poll_state_synchronize_rcu(unsigned long cookie);
extern void cond_synchronize_rcu(unsigned long cookie); /* may sleep */

static inline void rcu_read_lock(void)
{
	__rcu_read_lock();
}

static inline void rcu_read_unlock(void)
{
	__rcu_read_unlock();
}

static inline void rcu_read_lock_bh(void)
{
	local_bh_disable();
}

static inline void rcu_read_unlock_bh(void)
{
	local_bh_enable();
}

static inline void rcu_read_lock_sched(void)
{
	preempt_disable();
}

static inline void rcu_read_unlock_sched(void)
{
	preempt_enable();
}

#define synchronize_rcu_expedited() synchronize_rcu()
#define synchronize_sched() synchronize_rcu()
#define call_rcu_hurry(head, func) call_rcu((head), (func))
#define rcu_read_lock_held() umc_rcu_read_lock_held()
#define rcu_read_lock_any_held() umc_rcu_read_lock_held()
#define rcu_read_lock_bh_held() umc_rcu_read_lock_held()
#define rcu_read_lock_sched_held() umc_rcu_read_lock_held()
#define RCU_LOCKDEP_WARN(cond, text) do { } while (0)
#define rcu_sleep_check() do { } while (0)
#define rcu_head_init(head) do { (head)->func = (rcu_callback_t)~0L; } while (0)
#define init_rcu_head(head) do { } while (0)
#define destroy_rcu_head(head) do { } while (0)

/* A dependent load of the pointer: acquire is at least as strong as what Linux promises. */
#define umc_rcu_load(p) __atomic_load_n((typeof(*(p)) **)(uintptr_t)&(p), __ATOMIC_ACQUIRE)
#define RCU_INITIALIZER(v) (typeof(*(v)) __force __rcu *)(v)
#define rcu_access_pointer(p) __atomic_load_n((typeof(*(p)) **)(uintptr_t)&(p), __ATOMIC_RELAXED)
#define rcu_dereference(p) umc_rcu_load(p)
#define rcu_dereference_check(p, cond) umc_rcu_load(p)
#define rcu_dereference_bh(p) umc_rcu_load(p)
#define rcu_dereference_bh_check(p, cond) umc_rcu_load(p)
#define rcu_dereference_sched(p) umc_rcu_load(p)
#define rcu_dereference_raw(p) umc_rcu_load(p)
#define rcu_dereference_raw_check(p) umc_rcu_load(p)
#define rcu_dereference_protected(p, cond) ((typeof(*(p)) *)(uintptr_t)(p))
#define rcu_pointer_handoff(p) (p)
#define rcu_assign_pointer(p, v) \
	__atomic_store_n((typeof(*(p)) **)(uintptr_t)&(p), (typeof(*(p)) *)(uintptr_t)(v), __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, v) \
	__atomic_store_n((typeof(*(p)) **)(uintptr_t)&(p), (typeof(*(p)) *)(uintptr_t)(v), __ATOMIC_RELAXED)
#define RCU_POINTER_INITIALIZER(p, v) .p = RCU_INITIALIZER(v)
#define rcu_replace_pointer(p, v, cond) \
	__atomic_exchange_n((typeof(*(p)) **)(uintptr_t)&(p), (typeof(*(p)) *)(uintptr_t)(v), __ATOMIC_ACQ_REL)

#define umc_kvfree_rcu(ptr, field)                                     \
	do {                                                               \
		typeof(ptr) umc_ptr = (ptr);                               \
		if (umc_ptr)                                               \
			kvfree_call_rcu(&umc_ptr->field, (void *)umc_ptr); \
	} while (0)
#define kvfree_rcu_mightsleep(ptr)                                         \
	do {                                                               \
		typeof(ptr) umc_ptr = (ptr);                               \
		if (umc_ptr)                                               \
			kvfree_call_rcu(NULL, (void *)umc_ptr);            \
	} while (0)
#define kfree_rcu_mightsleep(ptr) kvfree_rcu_mightsleep(ptr)
#define kfree_rcu(ptr, field) umc_kvfree_rcu(ptr, field)
#define kvfree_rcu(ptr, field) umc_kvfree_rcu(ptr, field)

#endif
