/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants for C and assembly. */
#ifndef UMC_VDSO_CONST_H
#define UMC_VDSO_CONST_H

#include <linux/const.h>

#endif
