/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits of the integer types. */
#ifndef UMC_VDSO_LIMITS_H
#define UMC_VDSO_LIMITS_H

#include <linux/limits.h>

#endif
