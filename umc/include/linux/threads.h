/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits of CPUs and tasks. API of Linux 6.12.
 * Differs: NR_CPUS is 64, so that a CPU mask is one word.
 */
#ifndef UMC_LINUX_THREADS_H
#define UMC_LINUX_THREADS_H

#ifndef CONFIG_NR_CPUS
#define CONFIG_NR_CPUS 64
#endif
#define NR_CPUS CONFIG_NR_CPUS
#define PID_MAX_LIMIT (4 * 1024 * 1024)

#endif
