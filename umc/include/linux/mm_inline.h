/* SPDX-License-Identifier: GPL-2.0-only */
/* Lists of the page cache: there is none; the types of linux/mm.h only (API of Linux 6.12). */
#ifndef UMC_LINUX_MM_INLINE_H
#define UMC_LINUX_MM_INLINE_H

#include <linux/atomic.h>
#include <linux/string.h>
#include <linux/mm.h>
#include <linux/swap.h>

#endif
