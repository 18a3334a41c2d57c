/* SPDX-License-Identifier: GPL-2.0-only */
/* BUG and WARN: all of it is in linux/bug.h. */
#ifndef UMC_ASM_BUG_H
#define UMC_ASM_BUG_H

#include <linux/bug.h>

#endif
