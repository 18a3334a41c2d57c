/* SPDX-License-Identifier: GPL-2.0-only */
/* Single bits and masks. */
#ifndef UMC_VDSO_BITS_H
#define UMC_VDSO_BITS_H

#include <linux/bits.h>

#endif
