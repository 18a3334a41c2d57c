/* SPDX-License-Identifier: GPL-2.0-only */
/* A pause inside a waiting loop. */
#ifndef UMC_VDSO_PROCESSOR_H
#define UMC_VDSO_PROCESSOR_H

#include <asm/vdso/processor.h>

#endif
