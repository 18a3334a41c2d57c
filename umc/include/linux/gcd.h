/* SPDX-License-Identifier: GPL-2.0-only */
/* Greatest common divisor (API of 6.12). Rust owner: `math.rs`. */
#ifndef UMC_LINUX_GCD_H
#define UMC_LINUX_GCD_H

extern unsigned long gcd(unsigned long a, unsigned long b);

#endif
