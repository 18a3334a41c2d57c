/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CRC-64 of ECMA-182, the most significant bit first. API of Linux 6.12. Rust owner: crc64.rs.
 */
#ifndef UMC_LINUX_CRC64_H
#define UMC_LINUX_CRC64_H

#include <linux/types.h>

extern u64 crc64_be(u64 crc, const void *p, size_t len);

#endif
