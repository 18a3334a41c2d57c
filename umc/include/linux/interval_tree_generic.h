/* SPDX-License-Identifier: GPL-2.0-only */
/* Trees of intervals, made for a type. API of 6.12: nodes by their first, each with the largest last of its subtree. Rust
 * owner: none. */
#ifndef UMC_LINUX_INTERVAL_TREE_GENERIC_H
#define UMC_LINUX_INTERVAL_TREE_GENERIC_H

#include <linux/rbtree_augmented.h>

/* NAME_insert, NAME_remove, and the intervals that meet [first, last] in order: NAME_iter_first and NAME_iter_next. */
#define INTERVAL_TREE_DEFINE(type, rb, number, max, FIRST, LAST, STORAGE, name)			\
RB_DECLARE_CALLBACKS_MAX(static, name##_callbacks, type, rb, number, max, LAST)			\
												\
STORAGE void name##_insert(type *item, struct rb_root_cached *tree)				\
{												\
	struct rb_node **place = &tree->rb_root.rb_node, *above = NULL;				\
	bool is_first = true;									\
												\
	item->max = LAST(item);									\
	while (*place) {									\
		type *at = rb_entry(above = *place, type, rb);					\
		bool right = FIRST(item) >= FIRST(at);						\
												\
		at->max = max_t(number, at->max, item->max);					\
		place = right ? &above->rb_right : &above->rb_left;				\
		is_first = is_first && !right;							\
	}											\
	rb_link_node(&item->rb, above, place);							\
	rb_insert_augmented_cached(&item->rb, tree, is_first, &name##_callbacks);		\
}												\
												\
STORAGE void name##_remove(type *item, struct rb_root_cached *tree)				\
{												\
	rb_erase_augmented_cached(&item->rb, tree, &name##_callbacks);				\
}												\
												\
STORAGE type *name##_iter_first(struct rb_root_cached *tree, number first, number last)		\
{												\
	struct rb_node *node = tree->rb_root.rb_node;						\
												\
	while (node) {										\
		type *at = rb_entry(node, type, rb);						\
												\
		if (node->rb_left && rb_entry(node->rb_left, type, rb)->max >= first)		\
			node = node->rb_left;							\
		else if (FIRST(at) > last)							\
			return NULL;								\
		else if (LAST(at) >= first)							\
			return at;								\
		else										\
			node = node->rb_right;							\
	}											\
	return NULL;										\
}												\
												\
STORAGE type *name##_iter_next(type *item, number first, number last)				\
{												\
	struct rb_node *node = &item->rb;							\
												\
	while ((node = rb_next(node))) {							\
		type *at = rb_entry(node, type, rb);						\
												\
		if (FIRST(at) > last)								\
			return NULL;								\
		if (LAST(at) >= first)								\
			return at;								\
	}											\
	return NULL;										\
}

#endif
