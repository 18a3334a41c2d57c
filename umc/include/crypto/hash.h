/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synchronous hashes (API of Linux 6.12): crc32c, md5, sha1, sha224, sha256, sha384, sha512 and hmac() of each digest.
 * A descriptor holds plain data: it may be copied, and abandoned without final.
 * Differs: no hash is asynchronous; no registration of algorithms.
 * Owner: umc/src/mm/crypto_hash.rs
 */
#ifndef UMC_CRYPTO_HASH_H
#define UMC_CRYPTO_HASH_H

#include <linux/crypto.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/err.h>

#define HASH_MAX_DIGESTSIZE	64
#define HASH_MAX_DESCSIZE	384
#define HASH_MAX_STATESIZE	384

/* umc: handle */
struct crypto_shash;

/* umc: shared */
struct shash_desc {
	struct crypto_shash *tfm;
	void *__ctx[] __attribute__((aligned(8)));
};

/* Room for the descriptor of any algorithm, named by NAME, on the caller's stack; tfm is set by the caller, as in Linux. */
union __shash_desc_room {
	struct shash_desc desc;
	u8 room[sizeof(struct shash_desc) + HASH_MAX_DESCSIZE];
};

#define SHASH_DESC_ON_STACK(name, tfm)				\
	union __shash_desc_room name##__room;			\
	struct shash_desc *name = &name##__room.desc

/* may sleep */
struct crypto_shash *crypto_alloc_shash(const char *alg_name, u32 type, u32 mask);
struct crypto_shash *crypto_clone_shash(struct crypto_shash *tfm);
void crypto_free_shash(struct crypto_shash *tfm);
int crypto_has_shash(const char *alg_name, u32 type, u32 mask);

/* any context */
int crypto_shash_setkey(struct crypto_shash *tfm, const u8 *key, unsigned int keylen);
const char *crypto_shash_alg_name(struct crypto_shash *tfm);
const char *crypto_shash_driver_name(struct crypto_shash *tfm);
unsigned int crypto_shash_blocksize(struct crypto_shash *tfm);
unsigned int crypto_shash_digestsize(struct crypto_shash *tfm);
unsigned int crypto_shash_statesize(struct crypto_shash *tfm);
unsigned int crypto_shash_descsize(struct crypto_shash *tfm);
u32 crypto_shash_get_flags(struct crypto_shash *tfm);
void crypto_shash_set_flags(struct crypto_shash *tfm, u32 flags);
void crypto_shash_clear_flags(struct crypto_shash *tfm, u32 flags);

int crypto_shash_init(struct shash_desc *desc);
int crypto_shash_update(struct shash_desc *desc, const u8 *data, unsigned int len);
int crypto_shash_final(struct shash_desc *desc, u8 *out);
int crypto_shash_finup(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out);
int crypto_shash_digest(struct shash_desc *desc, const u8 *data, unsigned int len, u8 *out);
int crypto_shash_tfm_digest(struct crypto_shash *tfm, const u8 *data, unsigned int len, u8 *out);
int crypto_shash_export(struct shash_desc *desc, void *out);
int crypto_shash_import(struct shash_desc *desc, const void *in);
void shash_desc_zero(struct shash_desc *desc);

/*
 * Hashes over scatter lists. Each operation is done when its call returns, and the function that is called at its end never is,
 * as where Linux answers 0.
 */
/* umc: handle */
struct crypto_ahash;

/* umc: shared */
struct ahash_request {
	struct crypto_ahash *umc_tfm;
	struct scatterlist *src;
	unsigned int nbytes;
	u8 *result;
	struct shash_desc *umc_desc;
};

static inline struct crypto_ahash *crypto_alloc_ahash(const char *alg_name, u32 type, u32 mask)
{
	return (struct crypto_ahash *)crypto_alloc_shash(alg_name, type, mask);
}

static inline void crypto_free_ahash(struct crypto_ahash *tfm)
{
	crypto_free_shash((struct crypto_shash *)tfm);
}

static inline unsigned int crypto_ahash_digestsize(struct crypto_ahash *tfm)
{
	return crypto_shash_digestsize((struct crypto_shash *)tfm);
}

static inline int crypto_ahash_setkey(struct crypto_ahash *tfm, const u8 *key, unsigned int keylen)
{
	return crypto_shash_setkey((struct crypto_shash *)tfm, key, keylen);
}

static inline struct crypto_ahash *crypto_ahash_reqtfm(struct ahash_request *req)
{
	return req->umc_tfm;
}

/* In the context of the flags; NULL without memory. */
static inline struct ahash_request *ahash_request_alloc(struct crypto_ahash *tfm, gfp_t gfp)
{
	unsigned int state = sizeof(struct shash_desc) + crypto_shash_descsize((struct crypto_shash *)tfm);
	struct ahash_request *req = kzalloc(sizeof(*req) + state, gfp);

	if (req) {
		req->umc_tfm = tfm;
		req->umc_desc = (struct shash_desc *)(req + 1);
		req->umc_desc->tfm = (struct crypto_shash *)tfm;
	}
	return req;
}

static inline void ahash_request_free(struct ahash_request *req)
{
	kfree_sensitive(req);
}

static inline void ahash_request_set_tfm(struct ahash_request *req, struct crypto_ahash *tfm)
{
	req->umc_tfm = tfm;
	req->umc_desc->tfm = (struct crypto_shash *)tfm;
}

static inline void ahash_request_set_callback(struct ahash_request *req, u32 flags, crypto_completion_t compl,
					      void *data)
{
}

static inline void ahash_request_set_crypt(struct ahash_request *req, struct scatterlist *src, u8 *result,
					   unsigned int nbytes)
{
	req->src = src;
	req->result = result;
	req->nbytes = nbytes;
}

/* any context */
static inline int crypto_ahash_init(struct ahash_request *req)
{
	return crypto_shash_init(req->umc_desc);
}

static inline int crypto_ahash_update(struct ahash_request *req)
{
	unsigned int left = req->nbytes;
	struct scatterlist *sg;

	for (sg = req->src; sg && left; sg = sg_next(sg)) {
		unsigned int part = sg->length < left ? sg->length : left;

		crypto_shash_update(req->umc_desc, sg_virt(sg), part);
		left -= part;
	}
	return left ? -EINVAL : 0;
}

static inline int crypto_ahash_final(struct ahash_request *req)
{
	return crypto_shash_final(req->umc_desc, req->result);
}

static inline int crypto_ahash_finup(struct ahash_request *req)
{
	int ret = crypto_ahash_update(req);

	return ret ? ret : crypto_ahash_final(req);
}

static inline int crypto_ahash_digest(struct ahash_request *req)
{
	int ret = crypto_ahash_init(req);

	return ret ? ret : crypto_ahash_finup(req);
}

static inline struct crypto_tfm *crypto_shash_tfm(struct crypto_shash *tfm)
{
	return (struct crypto_tfm *)tfm;
}

static inline void *shash_desc_ctx(struct shash_desc *desc)
{
	return desc->__ctx;
}

#endif
