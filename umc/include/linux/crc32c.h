/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CRC32C with a raw seed: no inversion, before or after (API of Linux 6.12).
 * Owner: umc/src/lib/crc32c.rs
 */
#ifndef UMC_LINUX_CRC32C_H
#define UMC_LINUX_CRC32C_H

#include <linux/types.h>

/* any context */
u32 crc32c(u32 crc, const void *address, unsigned int length);
const char *crc32c_impl(void);

#define crc32c_le(crc, data, length)	crc32c((crc), (data), (length))
#define __crc32c_le(crc, data, length)	crc32c((crc), (data), (length))

#endif
