// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of a type that newer kernels do not have (6.17 removed it): 6.12's device-mapper includes it, and DRBD 9 asks
 * whether it brings the type. It does not, so the name is free here.
 */
#include <linux/pfn_t.h>

typedef int pfn_t;

pfn_t answers_pfn;
