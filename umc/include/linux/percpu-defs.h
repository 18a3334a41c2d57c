/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Per-CPU variables: access. API of Linux 6.12. Rust owner: cpumask.rs.
 * Differs: a thread may change its CPU at any time, so this_cpu_*() are atomic operations on one of the slots;
 * DEFINE_PER_CPU is not provided.
 */
#ifndef UMC_LINUX_PERCPU_DEFS_H
#define UMC_LINUX_PERCPU_DEFS_H

#include <linux/compiler.h>
#include <linux/smp.h>

/* Slots of one allocation lie this far apart. */
#define umc_percpu_stride(size) (((size) + 63) & ~63UL)

#define per_cpu_ptr(ptr, cpu) \
	((typeof(*(ptr)) *)((char *)(ptr) + umc_percpu_stride(sizeof(*(ptr))) * (cpu)))
#define raw_cpu_ptr(ptr) per_cpu_ptr((ptr), umc_processor_id())
#define this_cpu_ptr(ptr) raw_cpu_ptr(ptr)
#define get_cpu_ptr(ptr) ({ preempt_disable(); this_cpu_ptr(ptr); })
#define put_cpu_ptr(ptr) do { (void)(ptr); preempt_enable(); } while (0)

#define umc_this_cpu_slot(var) (*this_cpu_ptr(&(var)))
#define this_cpu_read(var) __atomic_load_n(&umc_this_cpu_slot(var), __ATOMIC_RELAXED)
#define this_cpu_write(var, value) \
	__atomic_store_n(&umc_this_cpu_slot(var), (value), __ATOMIC_RELAXED)
#define this_cpu_add(var, value) \
	((void)__atomic_fetch_add(&umc_this_cpu_slot(var), (value), __ATOMIC_RELAXED))
#define this_cpu_sub(var, value) \
	((void)__atomic_fetch_sub(&umc_this_cpu_slot(var), (value), __ATOMIC_RELAXED))
#define this_cpu_inc(var) this_cpu_add(var, 1)
#define this_cpu_dec(var) this_cpu_sub(var, 1)
#define this_cpu_add_return(var, value) \
	__atomic_add_fetch(&umc_this_cpu_slot(var), (value), __ATOMIC_RELAXED)
#define this_cpu_inc_return(var) this_cpu_add_return(var, 1)
#define __this_cpu_read(var) this_cpu_read(var)
#define __this_cpu_write(var, value) this_cpu_write(var, value)
#define __this_cpu_add(var, value) this_cpu_add(var, value)
#define __this_cpu_inc(var) this_cpu_inc(var)
#define __this_cpu_dec(var) this_cpu_dec(var)
#define raw_cpu_read(var) this_cpu_read(var)

#endif
