/* SPDX-License-Identifier: GPL-2.0-only */
/* The sparse array under its older name. API of 6.12, without tags. A preload reserves nothing, for
 * an insertion has memory of its own; it still disables preemption until its end. A slot is one until the next change only.
 * Owner of the functions: umc/src/mm/radix_tree.rs */
#ifndef UMC_LINUX_RADIX_TREE_H
#define UMC_LINUX_RADIX_TREE_H

#include <linux/errno.h>
#include <linux/preempt.h>
#include <linux/xarray.h>

#define radix_tree_root xarray

#define RADIX_TREE_INIT(name, mask)	XARRAY_INIT(name, mask)
#define RADIX_TREE(name, mask)		struct radix_tree_root name = RADIX_TREE_INIT(name, mask)
#define INIT_RADIX_TREE(root, mask)	xa_init_flags(root, mask)

/* Any context. A change needs the caller's own lock; a lookup needs that, or an RCU section. */
static inline bool radix_tree_empty(const struct radix_tree_root *root)
{
	return xa_empty(root);
}

static inline void *radix_tree_lookup(const struct radix_tree_root *root, unsigned long index)
{
	return xa_load((struct radix_tree_root *)root, index);
}

/* 0, or -EEXIST. */
static inline int radix_tree_insert(struct radix_tree_root *root, unsigned long index, void *entry)
{
	int ret = __xa_insert(root, index, entry, GFP_ATOMIC);

	return ret == -EBUSY ? -EEXIST : ret;
}

/* What was there; nothing is taken out, and NULL returned, where it is not the item that is expected. */
static inline void *radix_tree_delete_item(struct radix_tree_root *root, unsigned long index, void *item)
{
	if (item && radix_tree_lookup(root, index) != item)
		return NULL;
	return __xa_erase(root, index);
}

/* The place of the entry, or NULL. It stays that until the tree is changed, which the caller's lock holds off. */
void __rcu **radix_tree_lookup_slot(const struct radix_tree_root *root, unsigned long index);
void radix_tree_replace_slot(struct radix_tree_root *root, void __rcu **slot, void *entry);

static inline void *radix_tree_deref_slot_protected(void __rcu **slot, spinlock_t *treelock)
{
	return *slot;
}

static inline void *radix_tree_delete(struct radix_tree_root *root, unsigned long index)
{
	return radix_tree_delete_item(root, index, NULL);
}

/* The entries from an index on, in order; how many were found. */
static inline unsigned int radix_tree_gang_lookup(const struct radix_tree_root *root, void **results,
						  unsigned long first, unsigned int max)
{
	struct radix_tree_root *tree = (struct radix_tree_root *)root;
	unsigned int found = 0;
	void *entry;

	for (entry = max ? xa_find(tree, &first, ULONG_MAX, XA_PRESENT) : NULL; entry;
	     entry = xa_find_after(tree, &first, ULONG_MAX, XA_PRESENT)) {
		results[found++] = entry;
		if (found == max)
			break;
	}
	return found;
}

/* umc: shared */
struct radix_tree_iter {
	unsigned long index;
};

static inline void *radix_tree_deref_slot(void __rcu **slot)
{
	return *slot;
}

/* The first place at or behind iter->index where an entry is; NULL at the end. */
static inline void __rcu **umc_radix_tree_find(const struct radix_tree_root *root, struct radix_tree_iter *iter)
{
	if (!xa_find((struct radix_tree_root *)root, &iter->index, ULONG_MAX, XA_PRESENT))
		return NULL;
	return radix_tree_lookup_slot(root, iter->index);
}

static inline void __rcu **umc_radix_tree_next(const struct radix_tree_root *root, struct radix_tree_iter *iter)
{
	return ++iter->index ? umc_radix_tree_find(root, iter) : NULL;
}

/* The body may take the entry that it is at out of the tree. */
#define radix_tree_for_each_slot(slot, root, iter, start)					\
	for ((iter)->index = (start), (slot) = umc_radix_tree_find(root, iter); (slot);		\
	     (slot) = umc_radix_tree_next(root, iter))

static inline int radix_tree_preload(gfp_t gfp)
{
	preempt_disable();
	return 0;
}

static inline int radix_tree_maybe_preload(gfp_t gfp)
{
	return radix_tree_preload(gfp);
}

static inline void radix_tree_preload_end(void)
{
	preempt_enable();
}

#endif
