/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU masks. API of Linux 6.12 without CONFIG_CPUMASK_OFFSTACK. Rust owner: cpumask.rs.
 * Differs: present and online CPUs are those the process may use; none comes or goes. All NR_CPUS are possible: a task
 * may have any of them to itself for a while, see linux/smp.h.
 */
#ifndef UMC_LINUX_CPUMASK_H
#define UMC_LINUX_CPUMASK_H

#include <linux/cpumask_types.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/gfp_types.h>

extern unsigned int umc_num_online_cpus(void);
extern const struct cpumask *umc_cpu_online_mask(void);
extern const struct cpumask *umc_cpu_possible_mask(void);

#define nr_cpu_ids ((unsigned int)NR_CPUS)
#define nr_cpumask_bits ((unsigned int)NR_CPUS)
#define cpu_online_mask umc_cpu_online_mask()
#define cpu_possible_mask umc_cpu_possible_mask()
#define cpu_present_mask umc_cpu_online_mask()
#define cpu_active_mask umc_cpu_online_mask()
#define cpu_all_mask umc_cpu_possible_mask()
#define num_online_cpus() umc_num_online_cpus()
#define num_possible_cpus() nr_cpu_ids
#define num_present_cpus() umc_num_online_cpus()
#define cpu_online(cpu) cpumask_test_cpu((cpu), cpu_online_mask)
#define cpu_possible(cpu) cpumask_test_cpu((cpu), cpu_possible_mask)

static inline unsigned int cpumask_first(const struct cpumask *mask)
{
	return find_first_bit(cpumask_bits(mask), nr_cpumask_bits);
}

#define cpumask_any(mask)	cpumask_first(mask)

static inline unsigned int cpumask_next(int cpu, const struct cpumask *mask)
{
	return find_next_bit(cpumask_bits(mask), nr_cpumask_bits, cpu + 1);
}

static inline unsigned int cpumask_next_zero(int cpu, const struct cpumask *mask)
{
	return find_next_zero_bit(cpumask_bits(mask), nr_cpumask_bits, cpu + 1);
}

#define for_each_cpu(cpu, mask)                                            \
	for ((cpu) = cpumask_first(mask); (cpu) < nr_cpumask_bits;         \
	     (cpu) = cpumask_next((int)(cpu), (mask)))
#define for_each_online_cpu(cpu) for_each_cpu((cpu), cpu_online_mask)
#define for_each_possible_cpu(cpu) for_each_cpu((cpu), cpu_possible_mask)
#define for_each_present_cpu(cpu) for_each_cpu((cpu), cpu_present_mask)

static inline void cpumask_set_cpu(unsigned int cpu, struct cpumask *mask)
{
	set_bit(cpu, cpumask_bits(mask));
}

static inline void __cpumask_set_cpu(unsigned int cpu, struct cpumask *mask)
{
	cpumask_bits(mask)[0] |= 1UL << cpu;
}

static inline void cpumask_clear_cpu(int cpu, struct cpumask *mask)
{
	clear_bit(cpu, cpumask_bits(mask));
}

static inline bool cpumask_test_cpu(int cpu, const struct cpumask *mask)
{
	return (unsigned int)cpu < NR_CPUS && ((cpumask_bits(mask)[0] >> cpu) & 1);
}

static inline bool cpumask_test_and_set_cpu(int cpu, struct cpumask *mask)
{
	return test_and_set_bit(cpu, cpumask_bits(mask));
}

static inline bool cpumask_test_and_clear_cpu(int cpu, struct cpumask *mask)
{
	return test_and_clear_bit(cpu, cpumask_bits(mask));
}

static inline void cpumask_setall(struct cpumask *mask)
{
	cpumask_bits(mask)[0] = ~0UL;
}

static inline void cpumask_clear(struct cpumask *mask)
{
	cpumask_bits(mask)[0] = 0;
}

static inline bool cpumask_and(struct cpumask *to, const struct cpumask *a, const struct cpumask *b)
{
	return (cpumask_bits(to)[0] = cpumask_bits(a)[0] & cpumask_bits(b)[0]) != 0;
}

static inline void cpumask_or(struct cpumask *to, const struct cpumask *a, const struct cpumask *b)
{
	cpumask_bits(to)[0] = cpumask_bits(a)[0] | cpumask_bits(b)[0];
}

static inline bool cpumask_andnot(struct cpumask *to, const struct cpumask *a, const struct cpumask *b)
{
	return (cpumask_bits(to)[0] = cpumask_bits(a)[0] & ~cpumask_bits(b)[0]) != 0;
}

static inline bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	return cpumask_bits(a)[0] == cpumask_bits(b)[0];
}

static inline bool cpumask_intersects(const struct cpumask *a, const struct cpumask *b)
{
	return (cpumask_bits(a)[0] & cpumask_bits(b)[0]) != 0;
}

static inline bool cpumask_subset(const struct cpumask *a, const struct cpumask *b)
{
	return (cpumask_bits(a)[0] & ~cpumask_bits(b)[0]) == 0;
}

static inline bool cpumask_empty(const struct cpumask *mask)
{
	return cpumask_bits(mask)[0] == 0;
}

static inline bool cpumask_full(const struct cpumask *mask)
{
	return cpumask_bits(mask)[0] == ~0UL;
}

static inline unsigned int cpumask_weight(const struct cpumask *mask)
{
	return __builtin_popcountl(cpumask_bits(mask)[0]);
}

static inline void cpumask_copy(struct cpumask *to, const struct cpumask *from)
{
	*to = *from;
}

static inline unsigned int cpumask_size(void)
{
	return sizeof(struct cpumask);
}

extern const struct cpumask *cpumask_of(unsigned int cpu);

/* A cpumask_var_t is the mask itself: there is nothing to allocate and nothing to free. */
static inline bool alloc_cpumask_var(cpumask_var_t *mask, gfp_t flags)
{
	return true;
}

static inline bool alloc_cpumask_var_node(cpumask_var_t *mask, gfp_t flags, int node)
{
	return true;
}

static inline bool zalloc_cpumask_var(cpumask_var_t *mask, gfp_t flags)
{
	cpumask_clear(*mask);
	return true;
}

static inline bool zalloc_cpumask_var_node(cpumask_var_t *mask, gfp_t flags, int node)
{
	cpumask_clear(*mask);
	return true;
}

static inline void free_cpumask_var(cpumask_var_t mask)
{
}

static inline bool cpumask_available(cpumask_var_t mask)
{
	return true;
}

/* 0, or what bitmap_parselist() says. */
static inline int cpulist_parse(const char *buf, struct cpumask *mask)
{
	return bitmap_parselist(buf, cpumask_bits(mask), nr_cpu_ids);
}

#define cpumask_pr_args(maskp) nr_cpu_ids, cpumask_bits(maskp)

#endif
