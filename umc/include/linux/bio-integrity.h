/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data about data that go along with a bio: tags of dm-integrity. API of 6.12. Owner: umc/src/block/bio_integrity.rs
 * Differs: nothing is generated or verified by the block layer itself, so only what a driver attached is there.
 */
#ifndef UMC_LINUX_BIO_INTEGRITY_H
#define UMC_LINUX_BIO_INTEGRITY_H

#include <linux/bio.h>

enum bip_flags {
	BIP_BLOCK_INTEGRITY = 1 << 0,
	BIP_MAPPED_INTEGRITY = 1 << 1,
	BIP_DISK_NOCHECK = 1 << 3,
	BIP_IP_CHECKSUM = 1 << 4,
	BIP_COPY_USER = 1 << 5,
};

/* umc: shared */
struct bio_integrity_payload {
	struct bio *bip_bio;
	struct bvec_iter bip_iter;
	unsigned short bip_vcnt;
	unsigned short bip_max_vcnt;
	unsigned short bip_flags;
	struct bio_vec *bip_vec;
	struct bio_vec bip_inline_vecs[];
};

#define bip_for_each_vec(bvl, bip, iter)	for_each_bvec(bvl, (bip)->bip_vec, iter, (bip)->bip_iter)

static inline struct bio_integrity_payload *bio_integrity(struct bio *bio)
{
	return bio->bi_opf & REQ_INTEGRITY ? bio->bi_integrity : NULL;
}

static inline sector_t bip_get_seed(struct bio_integrity_payload *bip)
{
	return bip->bip_iter.bi_sector;
}

static inline void bip_set_seed(struct bio_integrity_payload *bip, sector_t seed)
{
	bip->bip_iter.bi_sector = seed;
}

/* Any context; an error pointer without memory. It is freed with the bio. */
struct bio_integrity_payload *bio_integrity_alloc(struct bio *bio, gfp_t gfp, unsigned int nr_vecs);
/* Any context: len, or 0 where there is no room. */
int bio_integrity_add_page(struct bio *bio, struct page *page, unsigned int len, unsigned int offset);
/* Any context; bio_alloc_clone() and its like do so, and so do bio_advance(), bio_trim() and bio_split(). */
int bio_integrity_clone(struct bio *to, struct bio *from, gfp_t gfp);
void bio_integrity_advance(struct bio *bio, unsigned int bytes);
void bio_integrity_trim(struct bio *bio);

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

#endif
