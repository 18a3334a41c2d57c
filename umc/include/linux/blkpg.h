/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Partition ioctls (6.12), types only: disks have no partitions here.
 */
#ifndef UMC_LINUX_BLKPG_H
#define UMC_LINUX_BLKPG_H

#include <linux/types.h>
#include <uapi/linux/blkpg.h>

#endif
