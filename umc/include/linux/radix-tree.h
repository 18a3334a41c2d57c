/* SPDX-License-Identifier: GPL-2.0-only */
/* The sparse array under its older name: only what linux/xarray.h offers. */
#ifndef UMC_LINUX_RADIX_TREE_H
#define UMC_LINUX_RADIX_TREE_H

#include <linux/xarray.h>

#endif
