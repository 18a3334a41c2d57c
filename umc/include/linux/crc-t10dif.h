/* SPDX-License-Identifier: GPL-2.0-only */
/* CRC-16 of protected sectors (API of Linux 6.12). Any context. Owner: umc/src/lib/crc_t10dif.rs */
#ifndef UMC_LINUX_CRC_T10DIF_H
#define UMC_LINUX_CRC_T10DIF_H

#include <linux/types.h>

#define CRC_T10DIF_DIGEST_SIZE	2
#define CRC_T10DIF_BLOCK_SIZE	1

__u16 crc_t10dif_update(__u16 crc, unsigned char const *buffer, size_t len);
__u16 crc_t10dif(unsigned char const *buffer, size_t len);

#endif
