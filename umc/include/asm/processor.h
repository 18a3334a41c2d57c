/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Busy waiting. API of Linux 6.12. Rust owner: sched.rs.
 * cpu_relax is a function: under a provider with virtual time it lets another thread run.
 */
#ifndef UMC_ASM_PROCESSOR_H
#define UMC_ASM_PROCESSOR_H

extern void cpu_relax(void);

#ifndef cpu_relax_lowlatency
#define cpu_relax_lowlatency() cpu_relax()
#endif

#endif
