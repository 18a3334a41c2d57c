/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Crypto transforms: what hashes and ciphers share (API of Linux 6.12).
 * Owner: umc/src/mm/crypto_hash.rs; the ciphers are those of crypto/skcipher.h and crypto/aead.h
 */
#ifndef UMC_LINUX_CRYPTO_H
#define UMC_LINUX_CRYPTO_H

#include <linux/completion.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <linux/slab.h>
#include <linux/string.h>

#define CRYPTO_MAX_ALG_NAME	128

#define CRYPTO_ALG_TYPE_MASK	0x0000000f
#define CRYPTO_ALG_TYPE_SHASH	0x0000000e
#define CRYPTO_ALG_TYPE_AHASH	0x0000000f
#define CRYPTO_ALG_ASYNC	0x00000080
#define CRYPTO_ALG_NEED_FALLBACK 0x00000100
#define CRYPTO_ALG_KERN_DRIVER_ONLY 0x00001000
#define CRYPTO_ALG_OPTIONAL_KEY	0x00004000
#define CRYPTO_ALG_ALLOCATES_MEMORY 0x00010000

#define CRYPTO_TFM_NEED_KEY		0x00000001
#define CRYPTO_TFM_REQ_MASK		0x000fff00
#define CRYPTO_TFM_REQ_FORBID_WEAK_KEYS	0x00000100
#define CRYPTO_TFM_REQ_MAY_SLEEP	0x00000200
#define CRYPTO_TFM_REQ_MAY_BACKLOG	0x00000400

#define CRYPTO_MINALIGN		16
#define CRYPTO_MINALIGN_ATTR	__attribute__((__aligned__(CRYPTO_MINALIGN)))

/* umc: handle */
struct crypto_tfm;

struct crypto_alg {
	u32 cra_flags;
	char cra_name[CRYPTO_MAX_ALG_NAME];
	char cra_driver_name[CRYPTO_MAX_ALG_NAME];
};

typedef void (*crypto_completion_t)(void *req, int err);

struct crypto_async_request {
	crypto_completion_t complete;
	void *data;
	struct crypto_tfm *tfm;
	u32 flags;
};

static inline unsigned int crypto_tfm_ctx_alignment(void)
{
	return CRYPTO_MINALIGN;
}

/* Waiting for a request: each is done when its call returns. */
struct crypto_wait {
	struct completion completion;
	int err;
};

#define DECLARE_CRYPTO_WAIT(wait) \
	struct crypto_wait wait = { COMPLETION_INITIALIZER_ONSTACK((wait).completion), 0 }

static inline void crypto_init_wait(struct crypto_wait *wait)
{
	init_completion(&wait->completion);
}

static inline void crypto_req_done(void *req, int err)
{
	struct crypto_wait *wait = req;

	if (err == -EINPROGRESS)
		return;
	wait->err = err;
	complete(&wait->completion);
}

/* may sleep */
static inline int crypto_wait_req(int err, struct crypto_wait *wait)
{
	if (err != -EINPROGRESS && err != -EBUSY)
		return err;
	wait_for_completion(&wait->completion);
	reinit_completion(&wait->completion);
	return wait->err;
}

/* may sleep */
int crypto_has_alg(const char *name, u32 type, u32 mask);

#endif
