/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory barriers. */
#ifndef UMC_ASM_GENERIC_BARRIER_H
#define UMC_ASM_GENERIC_BARRIER_H

#include <asm/barrier.h>

#endif
