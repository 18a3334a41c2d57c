/* SPDX-License-Identifier: GPL-2.0-only */
/* Strings and memory. */
#ifndef UMC_ASM_STRING_H
#define UMC_ASM_STRING_H

#include <linux/string.h>

#endif
