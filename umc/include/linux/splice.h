/* SPDX-License-Identifier: GPL-2.0-only */
/* There are no pipes: only what includes of this header bring along (API of Linux 6.12). */
#ifndef UMC_LINUX_SPLICE_H
#define UMC_LINUX_SPLICE_H

#include <linux/fs.h>

#endif
