/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Symmetric ciphers (API of Linux 6.12): ecb, cbc, ctr and xts of aes, camellia, serpent and twofish, essiv() of cbc, and
 * ecb(cipher_null).
 * Differs: each request is done when its call returns, so nobody is called back, and there is nothing to allocate for one;
 * no registration of algorithms.
 * Owner: umc/src/mm/crypto_cipher/skcipher.rs
 */
#ifndef UMC_CRYPTO_SKCIPHER_H
#define UMC_CRYPTO_SKCIPHER_H

#include <linux/crypto.h>
#include <linux/scatterlist.h>

/* umc: handle */
struct crypto_skcipher;

struct skcipher_alg {
	struct crypto_alg base;
};

/* umc: shared */
struct skcipher_request {
	unsigned int cryptlen;
	u8 *iv;
	struct scatterlist *src;
	struct scatterlist *dst;
	struct crypto_async_request base;
	void *__ctx[] CRYPTO_MINALIGN_ATTR;
};

/* may sleep; -ENOENT for an unknown name */
struct crypto_skcipher *crypto_alloc_skcipher(const char *alg_name, u32 type, u32 mask);
void crypto_free_skcipher(struct crypto_skcipher *tfm);
/* any context; -EINVAL for a key of a wrong length */
int crypto_skcipher_setkey(struct crypto_skcipher *tfm, const u8 *key, unsigned int keylen);
unsigned int crypto_skcipher_ivsize(struct crypto_skcipher *tfm);
unsigned int crypto_skcipher_blocksize(struct crypto_skcipher *tfm);
struct skcipher_alg *crypto_skcipher_alg(struct crypto_skcipher *tfm);
/* any context: 0; -ENOKEY before there is a key, -EINVAL where the length is none of the mode's */
int crypto_skcipher_encrypt(struct skcipher_request *req);
int crypto_skcipher_decrypt(struct skcipher_request *req);

static inline unsigned int crypto_skcipher_alignmask(struct crypto_skcipher *tfm)
{
	return 0;
}

static inline unsigned int crypto_skcipher_reqsize(struct crypto_skcipher *tfm)
{
	return 0;
}

static inline struct crypto_tfm *crypto_skcipher_tfm(struct crypto_skcipher *tfm)
{
	return (struct crypto_tfm *)tfm;
}

static inline void skcipher_request_set_tfm(struct skcipher_request *req, struct crypto_skcipher *tfm)
{
	req->base.tfm = crypto_skcipher_tfm(tfm);
}

static inline struct skcipher_request *skcipher_request_alloc(struct crypto_skcipher *tfm, gfp_t gfp)
{
	struct skcipher_request *req = kmalloc(sizeof(*req), gfp);

	if (req)
		skcipher_request_set_tfm(req, tfm);
	return req;
}

static inline void skcipher_request_free(struct skcipher_request *req)
{
	kfree_sensitive(req);
}

static inline void skcipher_request_set_callback(struct skcipher_request *req, u32 flags, crypto_completion_t compl,
						 void *data)
{
	req->base.complete = compl;
	req->base.data = data;
	req->base.flags = flags;
}

static inline void skcipher_request_set_crypt(struct skcipher_request *req, struct scatterlist *src,
					      struct scatterlist *dst, unsigned int cryptlen, void *iv)
{
	req->src = src;
	req->dst = dst;
	req->cryptlen = cryptlen;
	req->iv = iv;
}

#endif
