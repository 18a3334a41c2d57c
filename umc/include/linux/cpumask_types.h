/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU masks: types. API of Linux 6.12 without CONFIG_CPUMASK_OFFSTACK. Rust owner: cpumask.rs.
 */
#ifndef UMC_LINUX_CPUMASK_TYPES_H
#define UMC_LINUX_CPUMASK_TYPES_H

#include <linux/types.h>
#include <linux/threads.h>

/* umc: shared */
typedef struct cpumask {
	DECLARE_BITMAP(bits, NR_CPUS);
} cpumask_t;

typedef struct cpumask cpumask_var_t[1];

#define cpumask_bits(maskp) ((maskp)->bits)

#endif
