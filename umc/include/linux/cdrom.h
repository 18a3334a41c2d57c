/* SPDX-License-Identifier: GPL-2.0-only */
/* Drives of CDs: there are none in a node. API of Linux 6.12: the constants of their commands that targets know. */
#ifndef UMC_LINUX_CDROM_H
#define UMC_LINUX_CDROM_H

#include <linux/types.h>

#endif
