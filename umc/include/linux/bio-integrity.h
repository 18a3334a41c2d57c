/* SPDX-License-Identifier: GPL-2.0-only */
/* Checksums beside the data of a bio: switched off, as where a kernel has no CONFIG_BLK_DEV_INTEGRITY. API of 6.12. */
#ifndef UMC_LINUX_BIO_INTEGRITY_H
#define UMC_LINUX_BIO_INTEGRITY_H

#include <linux/bio.h>

struct bio_integrity_payload;

static inline struct bio_integrity_payload *bio_integrity(struct bio *bio)
{
	return NULL;
}

static inline int bioset_integrity_create(struct bio_set *bs, int pool_size)
{
	return 0;
}

static inline void bioset_integrity_free(struct bio_set *bs)
{
}

static inline bool bio_integrity_prep(struct bio *bio)
{
	return true;
}

static inline int bio_integrity_clone(struct bio *to, struct bio *from, gfp_t gfp)
{
	return 0;
}

static inline void bio_integrity_advance(struct bio *bio, unsigned int bytes)
{
}

static inline void bio_integrity_trim(struct bio *bio)
{
}

#endif
