/* SPDX-License-Identifier: GPL-2.0-only */
/* Singly linked lists whose head has a lock in its lowest bit. API of 6.12. Rust owner: none. */
#ifndef UMC_LINUX_LIST_BL_H
#define UMC_LINUX_LIST_BL_H

#include <linux/bit_spinlock.h>
#include <linux/container_of.h>
#include <linux/list.h>

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct hlist_bl_head {
	struct hlist_bl_node *first;
};

#define UMC_BL_LOCK	1UL

#define INIT_HLIST_BL_HEAD(head)	((head)->first = NULL)
#define HLIST_BL_HEAD_INIT		{ NULL }
#define hlist_bl_entry(node, type, member)	container_of(node, type, member)

static inline void INIT_HLIST_BL_NODE(struct hlist_bl_node *node)
{
	*node = (struct hlist_bl_node){ NULL, NULL };
}

static inline bool hlist_bl_unhashed(const struct hlist_bl_node *node)
{
	return node->pprev == NULL;
}

static inline struct hlist_bl_node *hlist_bl_first(struct hlist_bl_head *head)
{
	return (struct hlist_bl_node *)((unsigned long)READ_ONCE(head->first) & ~UMC_BL_LOCK);
}

static inline bool hlist_bl_empty(const struct hlist_bl_head *head)
{
	return ((unsigned long)READ_ONCE(head->first) & ~UMC_BL_LOCK) == 0;
}

/* The lock is held, and stays so. */
static inline void hlist_bl_set_first(struct hlist_bl_head *head, struct hlist_bl_node *node)
{
	WRITE_ONCE(head->first, (struct hlist_bl_node *)((unsigned long)node | UMC_BL_LOCK));
}

static inline void hlist_bl_add_head(struct hlist_bl_node *node, struct hlist_bl_head *head)
{
	struct hlist_bl_node *second = hlist_bl_first(head);

	node->next = second;
	node->pprev = &head->first;
	if (second)
		second->pprev = &node->next;
	hlist_bl_set_first(head, node);
}

static inline void hlist_bl_add_before(struct hlist_bl_node *node, struct hlist_bl_node *next)
{
	unsigned long lock = (unsigned long)*next->pprev & UMC_BL_LOCK;

	node->pprev = next->pprev;
	node->next = next;
	next->pprev = &node->next;
	WRITE_ONCE(*node->pprev, (struct hlist_bl_node *)((unsigned long)node | lock));
}

static inline void hlist_bl_add_behind(struct hlist_bl_node *node, struct hlist_bl_node *prev)
{
	node->next = prev->next;
	node->pprev = &prev->next;
	WRITE_ONCE(prev->next, node);
	if (node->next)
		node->next->pprev = &node->next;
}

/* What points to the node may be the head, whose lock stays as it is. */
static inline void __hlist_bl_del(struct hlist_bl_node *node)
{
	unsigned long lock = (unsigned long)*node->pprev & UMC_BL_LOCK;

	WRITE_ONCE(*node->pprev, (struct hlist_bl_node *)((unsigned long)node->next | lock));
	if (node->next)
		node->next->pprev = node->pprev;
}

static inline void hlist_bl_del(struct hlist_bl_node *node)
{
	__hlist_bl_del(node);
	node->next = LIST_POISON1;
	node->pprev = LIST_POISON2;
}

static inline void hlist_bl_del_init(struct hlist_bl_node *node)
{
	if (!hlist_bl_unhashed(node)) {
		__hlist_bl_del(node);
		INIT_HLIST_BL_NODE(node);
	}
}

static inline void hlist_bl_lock(struct hlist_bl_head *head)
{
	bit_spin_lock(0, (unsigned long *)head);
}

static inline void hlist_bl_unlock(struct hlist_bl_head *head)
{
	bit_spin_unlock(0, (unsigned long *)head);
}

static inline bool hlist_bl_is_locked(struct hlist_bl_head *head)
{
	return bit_spin_is_locked(0, (unsigned long *)head);
}

#define hlist_bl_for_each_entry(item, node, head, member)				\
	for ((node) = hlist_bl_first(head);						\
	     (node) && ((item) = hlist_bl_entry(node, typeof(*(item)), member), 1);	\
	     (node) = (node)->next)
#define hlist_bl_for_each_entry_safe(item, node, after, head, member)			\
	for ((node) = hlist_bl_first(head);						\
	     (node) && ((after) = (node)->next, 1) &&					\
	     ((item) = hlist_bl_entry(node, typeof(*(item)), member), 1);		\
	     (node) = (after))

#endif
