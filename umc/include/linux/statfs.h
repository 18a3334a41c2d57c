/* SPDX-License-Identifier: GPL-2.0-only */
/* What a file system tells of itself. API of 6.12. Rust owner: umc/src/fs/vfs.rs. */
#ifndef UMC_LINUX_STATFS_H
#define UMC_LINUX_STATFS_H

#include <linux/types.h>

struct path;

/* umc: shared */
struct kstatfs {
	long f_type;
	long f_bsize;
	u64 f_blocks;
	u64 f_bfree;
	u64 f_bavail;
	u64 f_files;
	u64 f_ffree;
	long f_namelen;
	long f_frsize;
	long f_flags;
};

/* May sleep. -ENOSYS for what lies in no file system of the host. */
extern int vfs_statfs(const struct path *path, struct kstatfs *buf);

#endif
