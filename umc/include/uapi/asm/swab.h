/* SPDX-License-Identifier: GPL-2.0-only */
/* Reversing the bytes of a word. */
#ifndef UMC_UAPI_ASM_SWAB_H
#define UMC_UAPI_ASM_SWAB_H

#include <uapi/linux/swab.h>

#endif
