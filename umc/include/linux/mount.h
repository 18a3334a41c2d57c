/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounts. API of 6.12; a node has one tree and no mounts: pointers only. Rust owner: umc/src/fs.rs. */
#ifndef UMC_LINUX_MOUNT_H
#define UMC_LINUX_MOUNT_H

#include <linux/types.h>

struct super_block;
struct dentry;
/* umc: handle */
struct vfsmount;

#endif
