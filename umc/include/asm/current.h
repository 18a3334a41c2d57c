/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calling task. API of Linux 6.12. Rust owner: sched.rs.
 */
#ifndef UMC_ASM_CURRENT_H
#define UMC_ASM_CURRENT_H

struct task_struct;

extern struct task_struct *umc_current(void);

#define get_current() umc_current()
#define current umc_current()

#endif
