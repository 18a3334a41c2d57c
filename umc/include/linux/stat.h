/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds of files, their permission bits, and what is told of a file (API of 6.12). Rust owner: umc/src/fs/vfs.rs. */
#ifndef UMC_LINUX_STAT_H
#define UMC_LINUX_STAT_H

#include <linux/types.h>
#include <linux/uidgid.h>
#include <uapi/linux/stat.h>

#define S_IRWXUGO (S_IRWXU | S_IRWXG | S_IRWXO)
#define S_IALLUGO (S_ISUID | S_ISGID | S_ISVTX | S_IRWXUGO)
#define S_IRUGO (S_IRUSR | S_IRGRP | S_IROTH)
#define S_IWUGO (S_IWUSR | S_IWGRP | S_IWOTH)
#define S_IXUGO (S_IXUSR | S_IXGRP | S_IXOTH)

#define STATX_TYPE 0x0001U
#define STATX_MODE 0x0002U
#define STATX_INO 0x0100U
#define STATX_SIZE 0x0200U
#define STATX_BLOCKS 0x0400U
#define STATX_BASIC_STATS 0x07ffU

/* Owner and times are not known. */
/* umc: shared */
struct kstat {
	u32 result_mask;
	umode_t mode;
	u32 blksize;
	dev_t dev;
	dev_t rdev;
	u64 ino;
	loff_t size;
};

#endif
