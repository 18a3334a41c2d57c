/* SPDX-License-Identifier: GPL-2.0-only */
/* A pause inside a loop that waits for another CPU. */
#ifndef UMC_ASM_VDSO_PROCESSOR_H
#define UMC_ASM_VDSO_PROCESSOR_H

#include <asm/processor.h>

#endif
