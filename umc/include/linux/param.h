/* SPDX-License-Identifier: GPL-2.0-only */
/* Ticks. */
#ifndef UMC_LINUX_PARAM_H
#define UMC_LINUX_PARAM_H

#include <asm/param.h>

#endif
