/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Per-CPU variables: access. API of Linux 6.12. Rust owner: cpumask.rs.
 * Kept: what get_cpu_ptr() gives is the caller's alone until put_cpu_ptr(), and so is what this_cpu_ptr() gives until the
 * end of the section with preemption, interrupts or soft interrupts off that it is called in; this_cpu_*() exclude both.
 * A section of rcu_read_lock() alone does not count. See linux/smp.h for how.
 * An initializer of DEFINE_PER_CPU is the value of every CPU before the module's init function runs.
 * Differs: sums have to be taken over the possible CPUs. DEFINE_PER_CPU makes a name that is global in its module.
 */
#ifndef UMC_LINUX_PERCPU_DEFS_H
#define UMC_LINUX_PERCPU_DEFS_H

#include <linux/compiler.h>
#include <linux/smp.h>

/* Slots of one allocation lie this far apart. */
#define umc_percpu_stride(size) (((size) + 63) & ~63UL)

/*
 * The slots of all CPUs; the name is the first of them. The last declaration takes the initializer, of which a constructor
 * of the module makes every slot.
 */
#define DEFINE_PER_CPU(type, name)                                                        \
	struct {                                                                          \
		__typeof__(type) slot __attribute__((__aligned__(64)));                   \
	} umc_percpu_##name[NR_CPUS];                                                     \
	extern __typeof__(type) name __attribute__((__alias__("umc_percpu_" #name)));     \
	static __typeof__(type) umc_percpu_init_##name;                                   \
	static void __attribute__((__constructor__, __used__)) umc_percpu_fill_##name(void) \
	{                                                                                 \
		for (int umc_cpu = 0; umc_cpu < NR_CPUS; umc_cpu++)                       \
			__builtin_memcpy(&umc_percpu_##name[umc_cpu].slot,                \
					 &umc_percpu_init_##name, sizeof(umc_percpu_init_##name)); \
	}                                                                                 \
	static __typeof__(type) umc_percpu_init_##name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name
#define DEFINE_PER_CPU_ALIGNED(type, name) DEFINE_PER_CPU(type, name)
#define DEFINE_PER_CPU_SHARED_ALIGNED(type, name) DEFINE_PER_CPU(type, name)
#define DEFINE_PER_CPU_READ_MOSTLY(type, name) DEFINE_PER_CPU(type, name)
#define DECLARE_PER_CPU_ALIGNED(type, name) DECLARE_PER_CPU(type, name)
#define DECLARE_PER_CPU_SHARED_ALIGNED(type, name) DECLARE_PER_CPU(type, name)
#define DECLARE_PER_CPU_READ_MOSTLY(type, name) DECLARE_PER_CPU(type, name)

/* The address goes through the assembler, for the compiler would know that it leaves the named object. */
#define per_cpu_ptr(ptr, cpu)                                                             \
	({                                                                                \
		unsigned long umc_slot;                                                   \
		__asm__("" : "=r"(umc_slot) : "0"(ptr));                                  \
		(typeof(*(ptr)) *)(umc_slot + umc_percpu_stride(sizeof(*(ptr))) * (cpu)); \
	})
#define per_cpu(var, cpu) (*per_cpu_ptr(&(var), (cpu)))
#define raw_cpu_ptr(ptr) per_cpu_ptr((ptr), umc_processor_id())
#define this_cpu_ptr(ptr) raw_cpu_ptr(ptr)
#define get_cpu_ptr(ptr) ({ preempt_disable(); this_cpu_ptr(ptr); })
#define put_cpu_ptr(ptr) do { (void)(ptr); preempt_enable(); } while (0)

/* The atomic operation is for those who read the slots of others. */
#define umc_on_this_cpu(op, var, value)                                    \
	({                                                                 \
		preempt_disable();                                         \
		typeof(var) umc_result = op(this_cpu_ptr(&(var)), (value), __ATOMIC_RELAXED); \
		preempt_enable();                                          \
		umc_result;                                                \
	})

#define this_cpu_read(var) __atomic_load_n(raw_cpu_ptr(&(var)), __ATOMIC_RELAXED)
#define this_cpu_write(var, value) ((void)umc_on_this_cpu(__atomic_exchange_n, var, value))
#define this_cpu_add(var, value) ((void)umc_on_this_cpu(__atomic_fetch_add, var, value))
#define this_cpu_sub(var, value) ((void)umc_on_this_cpu(__atomic_fetch_sub, var, value))
#define this_cpu_inc(var) this_cpu_add(var, 1)
#define this_cpu_dec(var) this_cpu_sub(var, 1)
#define this_cpu_add_return(var, value) umc_on_this_cpu(__atomic_add_fetch, var, value)
#define this_cpu_inc_return(var) this_cpu_add_return(var, 1)
#define __this_cpu_read(var) this_cpu_read(var)
#define __this_cpu_write(var, value) this_cpu_write(var, value)
#define __this_cpu_add(var, value) this_cpu_add(var, value)
#define __this_cpu_inc(var) this_cpu_inc(var)
#define __this_cpu_dec(var) this_cpu_dec(var)
#define raw_cpu_read(var) this_cpu_read(var)

#endif
