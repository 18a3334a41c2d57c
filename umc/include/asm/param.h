/* SPDX-License-Identifier: GPL-2.0-only */
/* Ticks. */
#ifndef UMC_ASM_PARAM_H
#define UMC_ASM_PARAM_H

#include <uapi/asm/param.h>

#endif
