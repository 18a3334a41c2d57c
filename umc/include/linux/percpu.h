/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Per-CPU variables: allocation. API of Linux 6.12. Rust owner: cpumask.rs.
 */
#ifndef UMC_LINUX_PERCPU_H
#define UMC_LINUX_PERCPU_H

#include <linux/percpu-defs.h>
#include <linux/types.h>

/* Zeroed slots, one a CPU; may sleep. */
extern void *__alloc_percpu(size_t size, size_t align);
extern void *__alloc_percpu_gfp(size_t size, size_t align, gfp_t gfp);
extern void free_percpu(void *slots);

#define alloc_percpu(type) ((type *)__alloc_percpu(sizeof(type), __alignof__(type)))
#define alloc_percpu_gfp(type, gfp) \
	((type *)__alloc_percpu_gfp(sizeof(type), __alignof__(type), (gfp)))

#endif
