/* SPDX-License-Identifier: GPL-2.0-only */
/* The byte order of the architecture: little-endian. */
#ifndef UMC_UAPI_ASM_BYTEORDER_H
#define UMC_UAPI_ASM_BYTEORDER_H

#include <linux/byteorder/little_endian.h>

#endif
