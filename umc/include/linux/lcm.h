/* SPDX-License-Identifier: GPL-2.0-only */
/* Least common multiple (API of 6.12). Rust owner: `math.rs`. */
#ifndef UMC_LINUX_LCM_H
#define UMC_LINUX_LCM_H

extern unsigned long lcm(unsigned long a, unsigned long b);
extern unsigned long lcm_not_zero(unsigned long a, unsigned long b);

#endif
