/* SPDX-License-Identifier: GPL-2.0-only */
/* MD5 in the middle of a message. API of 6.12. Differs: crypto_shash_export() of it is refused with -ENOSYS, for the state of
 * this one is laid out in another way. */
#ifndef UMC_CRYPTO_MD5_H
#define UMC_CRYPTO_MD5_H

#include <linux/types.h>

#define MD5_DIGEST_SIZE		16
#define MD5_BLOCK_WORDS		16
#define MD5_HASH_WORDS		4

struct md5_state {
	u32 hash[MD5_HASH_WORDS];
	u32 block[MD5_BLOCK_WORDS];
	u64 byte_count;
};

#endif
