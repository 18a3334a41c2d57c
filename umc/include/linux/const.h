/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants for C and assembly. */
#ifndef UMC_LINUX_CONST_H
#define UMC_LINUX_CONST_H

#include <uapi/linux/const.h>

#define UL(x) (_UL(x))
#define ULL(x) (_ULL(x))

#endif
