/* SPDX-License-Identifier: GPL-2.0-only */
/* Sizes in bytes by name. API of 6.12. Rust owner: none. */
#ifndef UMC_LINUX_SIZES_H
#define UMC_LINUX_SIZES_H

#include <linux/const.h>

#define SZ_1	(1 << 0)
#define SZ_2	(1 << 1)
#define SZ_4	(1 << 2)
#define SZ_8	(1 << 3)
#define SZ_16	(1 << 4)
#define SZ_32	(1 << 5)
#define SZ_64	(1 << 6)
#define SZ_128	(1 << 7)
#define SZ_256	(1 << 8)
#define SZ_512	(1 << 9)
#define SZ_1K	(1 << 10)
#define SZ_2K	(1 << 11)
#define SZ_4K	(1 << 12)
#define SZ_8K	(1 << 13)
#define SZ_16K	(1 << 14)
#define SZ_32K	(1 << 15)
#define SZ_64K	(1 << 16)
#define SZ_128K	(1 << 17)
#define SZ_256K	(1 << 18)
#define SZ_512K	(1 << 19)
#define SZ_1M	(1 << 20)
#define SZ_2M	(1 << 21)
#define SZ_4M	(1 << 22)
#define SZ_8M	(1 << 23)
#define SZ_16M	(1 << 24)
#define SZ_32M	(1 << 25)
#define SZ_64M	(1 << 26)
#define SZ_128M	(1 << 27)
#define SZ_256M	(1 << 28)
#define SZ_512M	(1 << 29)
#define SZ_1G	(1 << 30)
#define SZ_2G	_AC(0x80000000, UL)
#define SZ_4G	(_AC(1, ULL) << 32)

#endif
