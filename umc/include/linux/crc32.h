/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CRC32 with a raw seed: no inversion, before or after (API of Linux 6.12).
 * Owner: umc/src/lib/crc32c.rs
 */
#ifndef UMC_LINUX_CRC32_H
#define UMC_LINUX_CRC32_H

#include <linux/types.h>

/* any context */
u32 crc32_le(u32 crc, const unsigned char *p, size_t len);
u32 crc32_be(u32 crc, const unsigned char *p, size_t len);

#define crc32(seed, data, length)	crc32_le(seed, (const unsigned char *)(data), length)

#endif
