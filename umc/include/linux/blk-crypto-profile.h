/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline encryption by a disk: switched off, as where a kernel has no CONFIG_BLK_INLINE_ENCRYPTION. API of 6.12. */
#ifndef UMC_LINUX_BLK_CRYPTO_PROFILE_H
#define UMC_LINUX_BLK_CRYPTO_PROFILE_H

struct blk_crypto_profile;

#endif
