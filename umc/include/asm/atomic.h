/* SPDX-License-Identifier: GPL-2.0-only */
/* Atomic integers: all of it is in linux/atomic.h. */
#ifndef UMC_ASM_ATOMIC_H
#define UMC_ASM_ATOMIC_H

#include <linux/atomic.h>

#endif
