/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Red-black trees inside the caller's structs (API of 6.12). The caller searches and links, these balance.
 * Rust owner: `rbtree.rs`.
 */
#ifndef UMC_LINUX_RBTREE_H
#define UMC_LINUX_RBTREE_H

#include <linux/container_of.h>
#include <linux/rbtree_types.h>
#include <linux/stddef.h>
#include <linux/compiler.h>

#define rb_parent(node) ((struct rb_node *)((node)->__rb_parent_color & ~3UL))
#define rb_entry(ptr, type, member) container_of(ptr, type, member)
#define rb_entry_safe(ptr, type, member)                                                      \
	({                                                                                    \
		typeof(ptr) umc_node_ = (ptr);                                                \
		umc_node_ ? rb_entry(umc_node_, type, member) : NULL;                         \
	})
#define RB_EMPTY_ROOT(root) (READ_ONCE((root)->rb_node) == NULL)
/* A node that is its own parent is on no tree. */
#define RB_EMPTY_NODE(node) ((node)->__rb_parent_color == (unsigned long)(node))
#define RB_CLEAR_NODE(node) ((node)->__rb_parent_color = (unsigned long)(node))

extern void rb_insert_color(struct rb_node *node, struct rb_root *root);
extern void rb_erase(struct rb_node *node, struct rb_root *root);
extern struct rb_node *rb_next(const struct rb_node *node);
extern struct rb_node *rb_prev(const struct rb_node *node);
extern struct rb_node *rb_first(const struct rb_root *root);
extern struct rb_node *rb_last(const struct rb_root *root);
extern struct rb_node *rb_first_postorder(const struct rb_root *root);
extern struct rb_node *rb_next_postorder(const struct rb_node *node);
extern void rb_replace_node(struct rb_node *victim, struct rb_node *replacement,
			    struct rb_root *root);

/* A red leaf, still to be balanced by rb_insert_color(). */
static inline void rb_link_node(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->__rb_parent_color = (unsigned long)parent;
	node->rb_left = node->rb_right = NULL;
	*link = node;
}

static inline void rb_link_node_rcu(struct rb_node *node, struct rb_node *parent,
				    struct rb_node **link)
{
	node->__rb_parent_color = (unsigned long)parent;
	node->rb_left = node->rb_right = NULL;
	__atomic_store_n(link, node, __ATOMIC_RELEASE);
}

#define rbtree_postorder_for_each_entry_safe(pos, n, root, field)                             \
	for ((pos) = rb_entry_safe(rb_first_postorder(root), typeof(*(pos)), field);          \
	     (pos) && ((n) = rb_entry_safe(rb_next_postorder(&(pos)->field),                  \
					   typeof(*(pos)), field), 1);                        \
	     (pos) = (n))

/* Trees that remember their leftmost node. */
#define rb_first_cached(root) ((root)->rb_leftmost)

static inline void rb_insert_color_cached(struct rb_node *node, struct rb_root_cached *root,
					  bool leftmost)
{
	if (leftmost)
		root->rb_leftmost = node;
	rb_insert_color(node, &root->rb_root);
}

/* The new leftmost node, when there is one in the place of `node`. */
static inline struct rb_node *rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
	bool was_first = node == root->rb_leftmost;

	if (was_first)
		root->rb_leftmost = rb_next(node);
	rb_erase(node, &root->rb_root);
	return was_first ? root->rb_leftmost : NULL;
}

static inline void rb_replace_node_cached(struct rb_node *victim, struct rb_node *replacement,
					  struct rb_root_cached *root)
{
	if (root->rb_leftmost == victim)
		root->rb_leftmost = replacement;
	rb_replace_node(victim, replacement, &root->rb_root);
}

/* Searches with a comparison of the caller: `less` orders nodes, `cmp` compares a key or a node with a node. */

/* Links `node` as a leaf, behind those that are not greater. */
static __always_inline void umc_rb_link_leaf(struct rb_node *node, struct rb_root *tree,
					     bool (*less)(struct rb_node *, const struct rb_node *))
{
	struct rb_node **link = &tree->rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = less(node, parent) ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
}

static __always_inline void rb_add(struct rb_node *node, struct rb_root *tree,
				   bool (*less)(struct rb_node *, const struct rb_node *))
{
	umc_rb_link_leaf(node, tree, less);
	rb_insert_color(node, tree);
}

/* `node` if it is the leftmost one now: a new leaf is when it hangs to the left of the one that was. */
static __always_inline struct rb_node *
rb_add_cached(struct rb_node *node, struct rb_root_cached *tree,
	      bool (*less)(struct rb_node *, const struct rb_node *))
{
	struct rb_node *first = tree->rb_leftmost;
	bool is_first;

	umc_rb_link_leaf(node, &tree->rb_root, less);
	is_first = !first || first->rb_left == node;
	rb_insert_color_cached(node, tree, is_first);
	return is_first ? node : NULL;
}

/* The node that was there already, or NULL when `node` was added. */
static __always_inline struct rb_node *
rb_find_add(struct rb_node *node, struct rb_root *tree,
	    int (*cmp)(struct rb_node *, const struct rb_node *))
{
	struct rb_node **link = &tree->rb_node, *parent = NULL;

	while (*link) {
		int order = cmp(node, *link);

		if (!order)
			return *link;
		parent = *link;
		link = order < 0 ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, tree);
	return NULL;
}

static __always_inline struct rb_node *
rb_find(const void *key, const struct rb_root *tree,
	int (*cmp)(const void *key, const struct rb_node *))
{
	struct rb_node *node = tree->rb_node;

	while (node) {
		int order = cmp(key, node);

		if (!order)
			break;
		node = order < 0 ? node->rb_left : node->rb_right;
	}
	return node;
}

/* The leftmost of the nodes that compare equal. */
static __always_inline struct rb_node *
rb_find_first(const void *key, const struct rb_root *tree,
	      int (*cmp)(const void *key, const struct rb_node *))
{
	struct rb_node *node = tree->rb_node, *match = NULL;

	while (node) {
		int order = cmp(key, node);

		if (!order)
			match = node;
		node = order <= 0 ? node->rb_left : node->rb_right;
	}
	return match;
}

static __always_inline struct rb_node *
rb_next_match(const void *key, struct rb_node *node,
	      int (*cmp)(const void *key, const struct rb_node *))
{
	node = rb_next(node);
	return node && !cmp(key, node) ? node : NULL;
}

#define rb_for_each(node, key, tree, cmp)                                                     \
	for ((node) = rb_find_first((key), (tree), (cmp)); (node);                            \
	     (node) = rb_next_match((key), (node), (cmp)))

#endif
