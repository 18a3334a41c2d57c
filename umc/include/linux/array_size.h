/* SPDX-License-Identifier: GPL-2.0-only */
/* Number of elements of an array (API of 6.12). */
#ifndef UMC_LINUX_ARRAY_SIZE_H
#define UMC_LINUX_ARRAY_SIZE_H

#include <linux/compiler.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]) + __must_be_array(array))

#endif
