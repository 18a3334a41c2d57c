/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layout of red-black trees (API of 6.12).
 * Rust owner: `rbtree.rs`.
 */
#ifndef UMC_LINUX_RBTREE_TYPES_H
#define UMC_LINUX_RBTREE_TYPES_H

/* __rb_parent_color: the parent's address, with the colour in bit 0 (1 is black). */
/* umc: shared */
struct rb_node {
	unsigned long __rb_parent_color;
	struct rb_node *rb_right;
	struct rb_node *rb_left;
} __attribute__((aligned(sizeof(long))));

/* umc: shared */
struct rb_root {
	struct rb_node *rb_node;
};

/* umc: shared */
struct rb_root_cached {
	struct rb_root rb_root;
	struct rb_node *rb_leftmost;
};

#define RB_ROOT (struct rb_root) { NULL, }
#define RB_ROOT_CACHED (struct rb_root_cached) { { NULL, }, NULL }

#endif
