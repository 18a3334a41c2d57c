/* SPDX-License-Identifier: GPL-2.0-only */
/* The key of authenc(): a routing attribute of this type with the parameter, the key of the hash, that of the cipher. API of
 * 6.12. */
#ifndef UMC_CRYPTO_AUTHENC_H
#define UMC_CRYPTO_AUTHENC_H

#include <linux/types.h>

enum {
	CRYPTO_AUTHENC_KEYA_UNSPEC,
	CRYPTO_AUTHENC_KEYA_PARAM,
};

struct crypto_authenc_key_param {
	__be32 enckeylen;
};

#endif
