/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Red-black trees whose nodes hold a value computed from their subtree (API of 6.12).
 * `propagate(node, stop)` recomputes from `node` up to, not including, `stop`; `copy(old, new)` hands the value of a
 * subtree over; `rotate(old, new)` does so in a rotation and recomputes `old`, which is below now.
 * Rust owner: `rbtree.rs`.
 */
#ifndef UMC_LINUX_RBTREE_AUGMENTED_H
#define UMC_LINUX_RBTREE_AUGMENTED_H

#include <linux/compiler.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>

/* umc: shared */
struct rb_augment_callbacks {
	void (*propagate)(struct rb_node *node, struct rb_node *stop);
	void (*copy)(struct rb_node *old, struct rb_node *successor);
	void (*rotate)(struct rb_node *old, struct rb_node *successor);
};

#define RB_RED 0
#define RB_BLACK 1
#define __rb_parent(pc) ((struct rb_node *)((pc) & ~3UL))
#define __rb_color(pc) ((pc) & 1)
#define __rb_is_black(pc) __rb_color(pc)
#define __rb_is_red(pc) (!__rb_color(pc))
#define rb_color(rb) __rb_color((rb)->__rb_parent_color)
#define rb_is_red(rb) __rb_is_red((rb)->__rb_parent_color)
#define rb_is_black(rb) __rb_is_black((rb)->__rb_parent_color)

extern void __rb_insert_augmented(struct rb_node *node, struct rb_root *root,
				  void (*augment_rotate)(struct rb_node *old,
							 struct rb_node *successor));
/* Takes the node out without balancing: the node below which a black one is missing, or NULL. */
extern struct rb_node *__rb_erase_augmented(struct rb_node *node, struct rb_root *root,
					    const struct rb_augment_callbacks *augment);
extern void __rb_erase_color(struct rb_node *parent, struct rb_root *root,
			     void (*augment_rotate)(struct rb_node *old,
						    struct rb_node *successor));

/* The value of `node`, and of all above it, must be right for the tree with `node` before the call. */
static inline void rb_insert_augmented(struct rb_node *node, struct rb_root *root,
				       const struct rb_augment_callbacks *augment)
{
	__rb_insert_augmented(node, root, augment->rotate);
}

static inline void rb_insert_augmented_cached(struct rb_node *node, struct rb_root_cached *root,
					      bool leftmost,
					      const struct rb_augment_callbacks *augment)
{
	if (leftmost)
		root->rb_leftmost = node;
	rb_insert_augmented(node, &root->rb_root, augment);
}

static inline void rb_erase_augmented(struct rb_node *node, struct rb_root *root,
				      const struct rb_augment_callbacks *augment)
{
	struct rb_node *parent = __rb_erase_augmented(node, root, augment);

	if (parent)
		__rb_erase_color(parent, root, augment->rotate);
}

static inline void rb_erase_augmented_cached(struct rb_node *node, struct rb_root_cached *root,
					     const struct rb_augment_callbacks *augment)
{
	if (root->rb_leftmost == node)
		root->rb_leftmost = rb_next(node);
	rb_erase_augmented(node, &root->rb_root, augment);
}

/* RBCOMPUTE(node, exit) recomputes a node's value; with `exit` it may give true when nothing changed. */
#define RB_DECLARE_CALLBACKS(RBSTATIC, RBNAME, RBSTRUCT, RBFIELD, RBAUGMENTED, RBCOMPUTE)     \
	static inline void RBNAME##_propagate(struct rb_node *rb, struct rb_node *stop)       \
	{                                                                                     \
		for (; rb != stop; rb = rb_parent(rb))                                        \
			if (RBCOMPUTE(rb_entry(rb, RBSTRUCT, RBFIELD), true))                 \
				return;                                                       \
	}                                                                                     \
	static inline void RBNAME##_copy(struct rb_node *old, struct rb_node *successor)      \
	{                                                                                     \
		rb_entry(successor, RBSTRUCT, RBFIELD)->RBAUGMENTED =                         \
			rb_entry(old, RBSTRUCT, RBFIELD)->RBAUGMENTED;                        \
	}                                                                                     \
	static void RBNAME##_rotate(struct rb_node *old, struct rb_node *successor)           \
	{                                                                                     \
		RBNAME##_copy(old, successor);                                                \
		RBCOMPUTE(rb_entry(old, RBSTRUCT, RBFIELD), false);                           \
	}                                                                                     \
	RBSTATIC const struct rb_augment_callbacks RBNAME = {                                 \
		.propagate = RBNAME##_propagate,                                              \
		.copy = RBNAME##_copy,                                                        \
		.rotate = RBNAME##_rotate,                                                    \
	};

/* The value is the largest RBCOMPUTE(node) of the subtree. */
#define RB_DECLARE_CALLBACKS_MAX(RBSTATIC, RBNAME, RBSTRUCT, RBFIELD, RBTYPE, RBAUGMENTED,    \
				 RBCOMPUTE)                                                   \
	static inline bool RBNAME##_compute_max(RBSTRUCT *node, bool exit)                    \
	{                                                                                     \
		struct rb_node *below[] = { node->RBFIELD.rb_left, node->RBFIELD.rb_right };  \
		RBTYPE largest = RBCOMPUTE(node);                                             \
                                                                                              \
		for (int i = 0; i < 2; i++) {                                                 \
			RBSTRUCT *child = rb_entry_safe(below[i], RBSTRUCT, RBFIELD);         \
                                                                                              \
			if (child && child->RBAUGMENTED > largest)                            \
				largest = child->RBAUGMENTED;                                 \
		}                                                                             \
		if (exit && node->RBAUGMENTED == largest)                                     \
			return true;                                                          \
		node->RBAUGMENTED = largest;                                                  \
		return false;                                                                 \
	}                                                                                     \
	RB_DECLARE_CALLBACKS(RBSTATIC, RBNAME, RBSTRUCT, RBFIELD, RBAUGMENTED,                \
			     RBNAME##_compute_max)

#endif
