/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Crypto transforms: what the hashes of crypto/hash.h share (API of Linux 6.12). No ciphers.
 * Owner: umc/src/mm/crypto_hash.rs
 */
#ifndef UMC_LINUX_CRYPTO_H
#define UMC_LINUX_CRYPTO_H

#include <linux/types.h>
#include <linux/slab.h>
#include <linux/string.h>

#define CRYPTO_MAX_ALG_NAME	128

#define CRYPTO_ALG_TYPE_MASK	0x0000000f
#define CRYPTO_ALG_TYPE_SHASH	0x0000000e
#define CRYPTO_ALG_TYPE_AHASH	0x0000000f
#define CRYPTO_ALG_ASYNC	0x00000080
#define CRYPTO_ALG_NEED_FALLBACK 0x00000100
#define CRYPTO_ALG_OPTIONAL_KEY	0x00004000

#define CRYPTO_TFM_NEED_KEY		0x00000001
#define CRYPTO_TFM_REQ_MASK		0x000fff00
#define CRYPTO_TFM_REQ_FORBID_WEAK_KEYS	0x00000100
#define CRYPTO_TFM_REQ_MAY_SLEEP	0x00000200
#define CRYPTO_TFM_REQ_MAY_BACKLOG	0x00000400

#define CRYPTO_MINALIGN		16
#define CRYPTO_MINALIGN_ATTR	__attribute__((__aligned__(CRYPTO_MINALIGN)))

/* umc: handle */
struct crypto_tfm;

/* may sleep */
int crypto_has_alg(const char *name, u32 type, u32 mask);

#endif
