/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline encryption by a disk: switched off, as where a kernel has no CONFIG_BLK_INLINE_ENCRYPTION. API of 6.12. */
#ifndef UMC_LINUX_BLK_CRYPTO_H
#define UMC_LINUX_BLK_CRYPTO_H

#include <linux/blk_types.h>
#include <linux/gfp.h>

struct blk_crypto_key;

static inline bool bio_has_crypt_ctx(struct bio *bio)
{
	return false;
}

static inline int bio_crypt_clone(struct bio *to, struct bio *from, gfp_t gfp)
{
	return 0;
}

#endif
