/* SPDX-License-Identifier: GPL-2.0-only */
/* The node behind a sysfs directory. API of 6.12; a pointer that is only carried around. Rust owner: umc/src/fs/sysfs.rs. */
#ifndef UMC_LINUX_KERNFS_H
#define UMC_LINUX_KERNFS_H

#include <linux/idr.h>
#include <linux/types.h>

/* umc: handle */
struct kernfs_node;

#endif
