// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of several sizes with the driver's words in them, pools of pages, lists of bios made of both, and the flags of a
 * digest that wants a key.
 */
#include <crypto/hash.h>
#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "check.h"

#define POOL_PAGES 6
#define THREADS 4
#define ROUNDS 500

static void compound_pages(void)
{
	LIST_HEAD(pages);
	struct page *page, *next;

	for (unsigned int order = 0; order < 5; order++) {
		page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN, order);
		if (!CHECK(page))
			break;
		CHECK_EQ(compound_order(page), order);
		CHECK_EQ(get_order(PAGE_SIZE << order), order);
		set_page_private(page, order + 100);
		list_add_tail(&page->lru, &pages);
		memset(page_address(page), order, PAGE_SIZE << order);
		/* A reference to the last part keeps all of it. */
		get_page(page + (1 << order) - 1);
		put_page(page);
		CHECK_EQ(page_count(page), 1);
	}
	list_for_each_entry_safe(page, next, &pages, lru) {
		unsigned int order = compound_order(page);
		u8 *data = page_address(page);

		CHECK_EQ(page_private(page), order + 100);
		CHECK_EQ(data[0], order);
		CHECK_EQ(data[(PAGE_SIZE << order) - 1], order);
		list_del(&page->lru);
		set_page_private(page, 0);
		put_page(page);
	}
	CHECK(list_empty(&pages));
}

static mempool_t page_pool;
static struct bio_set bios;

/* What is given back goes to those who wait first, then into the pool, then to the allocator. */
static void use_pool(int number)
{
	struct page *held[POOL_PAGES / 2];

	for (int round = 0; round < ROUNDS; round++) {
		int count = 1 + (round + number) % ARRAY_SIZE(held);

		for (int i = 0; i < count; i++) {
			held[i] = mempool_alloc(&page_pool, GFP_NOIO);
			if (!CHECK(held[i]))
				return;
			set_page_private(held[i], number * ROUNDS + round);
		}
		for (int i = 0; i < count; i++) {
			CHECK_EQ(page_private(held[i]), number * ROUNDS + round);
			set_page_private(held[i], 0);
			mempool_free(held[i], &page_pool);
		}
	}
}

static void pool_of_pages(void)
{
	struct page *first, *second;

	if (!CHECK_EQ(mempool_init_page_pool(&page_pool, POOL_PAGES, 0), 0))
		return;
	CHECK(mempool_is_saturated(&page_pool));
	check_together(THREADS, use_pool);
	CHECK(mempool_is_saturated(&page_pool));
	first = mempool_alloc_preallocated(&page_pool);
	CHECK(first);
	CHECK(!mempool_is_saturated(&page_pool));
	/* As a driver refills it: with a page from anywhere. */
	second = alloc_page(GFP_KERNEL);
	CHECK(second);
	mempool_free(second, &page_pool);
	CHECK(mempool_is_saturated(&page_pool));
	mempool_free(first, &page_pool);
	mempool_exit(&page_pool);
}

static struct bio *bio_with_page(unsigned int order, int fill)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	struct bio *bio = bio_alloc_bioset(NULL, 1, REQ_OP_WRITE | REQ_META, GFP_NOIO, &bios);

	if (!CHECK(page) || !CHECK(bio))
		return NULL;
	memset(page_address(page), fill, PAGE_SIZE << order);
	CHECK_EQ(bio_add_page(bio, page, PAGE_SIZE << order, 0), PAGE_SIZE << order);
	CHECK(bio->bi_max_vecs >= 1);
	CHECK_EQ(bio_sectors(bio), (PAGE_SIZE << order) >> SECTOR_SHIFT);
	CHECK(bio_has_data(bio));
	return bio;
}

static void lists_of_bios(void)
{
	struct bio_list list = BIO_EMPTY_LIST;
	struct bio_vec bvec;
	struct bvec_iter iter;
	struct bio *bio;
	int seen = 0;

	if (!CHECK_EQ(bioset_init(&bios, 4, 0, BIOSET_NEED_BVECS), 0))
		return;
	bio_list_init(&list);
	CHECK(bio_list_empty(&list) && !bio_list_peek(&list) && !bio_list_pop(&list));
	for (int i = 0; i < 3; i++) {
		bio = bio_with_page(i, i + 1);
		if (bio)
			bio_list_add(&list, bio);
	}
	CHECK_EQ(bio_list_size(&list), 3);
	bio_list_for_each(bio, &list) {
		bio_for_each_bvec(bvec, bio, iter) {
			u8 *data = bvec_virt(&bvec);

			CHECK_EQ(bvec.bv_len, PAGE_SIZE << seen);
			CHECK_EQ(data[bvec.bv_len - 1], seen + 1);
		}
		/* By pages, as what cannot take more at once goes through it. */
		bio_for_each_segment(bvec, bio, iter) {
			u8 *data = kmap_local_page(bvec.bv_page);

			CHECK(bvec.bv_len <= PAGE_SIZE);
			CHECK_EQ(data[bvec.bv_offset], seen + 1);
			kunmap_local(data);
		}
		seen++;
	}
	CHECK_EQ(seen, 3);
	for (seen = 0; (bio = bio_list_pop(&list)); seen++) {
		put_page(bio_page(bio));
		bio_put(bio);
	}
	CHECK_EQ(seen, 3);
	CHECK(bio_list_empty(&list));
	bioset_exit(&bios);
}

static void digests_with_a_key(void)
{
	struct crypto_shash *plain = crypto_alloc_shash("crc32c", 0, 0);
	struct crypto_shash *keyed = crypto_alloc_shash("hmac(sha256)", 0, 0);

	if (CHECK(!IS_ERR(plain))) {
		CHECK(!(crypto_shash_get_flags(plain) & CRYPTO_TFM_NEED_KEY));
		crypto_free_shash(plain);
	}
	if (CHECK(!IS_ERR(keyed))) {
		CHECK(crypto_shash_get_flags(keyed) & CRYPTO_TFM_NEED_KEY);
		CHECK_EQ(crypto_shash_setkey(keyed, "secret", 6), 0);
		CHECK(!(crypto_shash_get_flags(keyed) & CRYPTO_TFM_NEED_KEY));
		crypto_free_shash(keyed);
	}
}

static int __init memory_init(void)
{
	compound_pages();
	pool_of_pages();
	lists_of_bios();
	digests_with_a_key();
	return check_result();
}

static void __exit memory_exit(void)
{
}

module_init(memory_init);
module_exit(memory_exit);
MODULE_LICENSE("GPL");
