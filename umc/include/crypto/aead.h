/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ciphers that authenticate (API of Linux 6.12): gcm(aes), rfc7539(chacha20,poly1305), and authenc() of hmac() of a digest
 * and a cipher of crypto/skcipher.h.
 * Differs: as in crypto/skcipher.h; a tag of gcm(aes) is 16 bytes long, never cut.
 * Owner: umc/src/mm/crypto_cipher/aead.rs
 */
#ifndef UMC_CRYPTO_AEAD_H
#define UMC_CRYPTO_AEAD_H

#include <linux/crypto.h>
#include <linux/scatterlist.h>

/* umc: handle */
struct crypto_aead;

struct aead_alg {
	struct crypto_alg base;
};

/* umc: shared */
struct aead_request {
	struct crypto_async_request base;
	unsigned int assoclen;
	unsigned int cryptlen;
	u8 *iv;
	struct scatterlist *src;
	struct scatterlist *dst;
	void *__ctx[] CRYPTO_MINALIGN_ATTR;
};

/* may sleep; -ENOENT for an unknown name */
struct crypto_aead *crypto_alloc_aead(const char *alg_name, u32 type, u32 mask);
void crypto_free_aead(struct crypto_aead *tfm);
/* any context; -EINVAL for a key, or a tag, of a wrong length */
int crypto_aead_setkey(struct crypto_aead *tfm, const u8 *key, unsigned int keylen);
int crypto_aead_setauthsize(struct crypto_aead *tfm, unsigned int authsize);
unsigned int crypto_aead_ivsize(struct crypto_aead *tfm);
unsigned int crypto_aead_authsize(struct crypto_aead *tfm);
unsigned int crypto_aead_blocksize(struct crypto_aead *tfm);
struct aead_alg *crypto_aead_alg(struct crypto_aead *tfm);
/* any context: 0; -EBADMSG where the tag is wrong, -ENOKEY before there is a key, -EINVAL for a length that does not fit */
int crypto_aead_encrypt(struct aead_request *req);
int crypto_aead_decrypt(struct aead_request *req);

static inline unsigned int crypto_aead_alignmask(struct crypto_aead *tfm)
{
	return 0;
}

static inline unsigned int crypto_aead_reqsize(struct crypto_aead *tfm)
{
	return 0;
}

static inline struct crypto_tfm *crypto_aead_tfm(struct crypto_aead *tfm)
{
	return (struct crypto_tfm *)tfm;
}

static inline void aead_request_set_tfm(struct aead_request *req, struct crypto_aead *tfm)
{
	req->base.tfm = crypto_aead_tfm(tfm);
}

static inline void aead_request_set_callback(struct aead_request *req, u32 flags, crypto_completion_t compl, void *data)
{
	req->base.complete = compl;
	req->base.data = data;
	req->base.flags = flags;
}

static inline void aead_request_set_crypt(struct aead_request *req, struct scatterlist *src, struct scatterlist *dst,
					  unsigned int cryptlen, u8 *iv)
{
	req->src = src;
	req->dst = dst;
	req->cryptlen = cryptlen;
	req->iv = iv;
}

static inline void aead_request_set_ad(struct aead_request *req, unsigned int assoclen)
{
	req->assoclen = assoclen;
}

#endif
