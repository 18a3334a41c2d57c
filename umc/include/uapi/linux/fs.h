/* SPDX-License-Identifier: GPL-2.0-only */
/* Seek origins, block ioctls, read/write flags. API of 6.12; ioctls of file systems are left out. Constants only. */
#ifndef UMC_UAPI_LINUX_FS_H
#define UMC_UAPI_LINUX_FS_H

#include <linux/types.h>
#include <uapi/linux/ioctl.h>

#define BLOCK_SIZE_BITS	10
#define BLOCK_SIZE	(1 << BLOCK_SIZE_BITS)

#define SEEK_SET	0
#define SEEK_CUR	1
#define SEEK_END	2
#define SEEK_DATA	3
#define SEEK_HOLE	4
#define SEEK_MAX	SEEK_HOLE

struct fstrim_range {
	__u64 start;
	__u64 len;
	__u64 minlen;
};

#define BLKROSET		_IO(0x12, 93)
#define BLKROGET		_IO(0x12, 94)
#define BLKRRPART		_IO(0x12, 95)
#define BLKGETSIZE		_IO(0x12, 96)
#define BLKFLSBUF		_IO(0x12, 97)
#define BLKRASET		_IO(0x12, 98)
#define BLKRAGET		_IO(0x12, 99)
#define BLKFRASET		_IO(0x12, 100)
#define BLKFRAGET		_IO(0x12, 101)
#define BLKSECTSET		_IO(0x12, 102)
#define BLKSECTGET		_IO(0x12, 103)
#define BLKSSZGET		_IO(0x12, 104)
#define BLKPG			_IO(0x12, 105)
#define BLKBSZGET		_IOR(0x12, 112, size_t)
#define BLKBSZSET		_IOW(0x12, 113, size_t)
#define BLKGETSIZE64		_IOR(0x12, 114, size_t)
#define BLKDISCARD		_IO(0x12, 119)
#define BLKIOMIN		_IO(0x12, 120)
#define BLKIOOPT		_IO(0x12, 121)
#define BLKALIGNOFF		_IO(0x12, 122)
#define BLKPBSZGET		_IO(0x12, 123)
#define BLKDISCARDZEROES	_IO(0x12, 124)
#define BLKSECDISCARD		_IO(0x12, 125)
#define BLKROTATIONAL		_IO(0x12, 126)
#define BLKZEROOUT		_IO(0x12, 127)
#define BLKGETDISKSEQ		_IOR(0x12, 128, __u64)

#define FIFREEZE		_IOWR('X', 119, int)
#define FITHAW			_IOWR('X', 120, int)
#define FITRIM			_IOWR('X', 121, struct fstrim_range)

#define RWF_HIPRI	0x00000001
#define RWF_DSYNC	0x00000002
#define RWF_SYNC	0x00000004
#define RWF_NOWAIT	0x00000008
#define RWF_APPEND	0x00000010

#endif
