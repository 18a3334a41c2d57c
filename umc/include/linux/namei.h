/* SPDX-License-Identifier: GPL-2.0-only */
/* Path walking. API of 6.12: the flags only; block devices are opened by bdev_file_open_by_path. Constants only. */
#ifndef UMC_LINUX_NAMEI_H
#define UMC_LINUX_NAMEI_H

#include <linux/types.h>
#include <linux/path.h>
#include <linux/fcntl.h>

#define LOOKUP_FOLLOW		0x0001
#define LOOKUP_DIRECTORY	0x0002

#endif
