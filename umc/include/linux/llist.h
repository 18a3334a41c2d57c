/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lock-free singly linked lists. API of Linux 6.12.
 */
#ifndef UMC_LINUX_LLIST_H
#define UMC_LINUX_LLIST_H

#include <linux/types.h>
#include <linux/container_of.h>
#include <linux/compiler.h>

/* umc: shared */
struct llist_head {
	struct llist_node *first;
};

/* umc: shared */
struct llist_node {
	struct llist_node *next;
};

#define LLIST_HEAD_INIT(name) { NULL }
#define LLIST_HEAD(name) struct llist_head name = LLIST_HEAD_INIT(name)
#define llist_entry(ptr, type, member) container_of(ptr, type, member)
#define umc_llist_member_null(pos, member) ((uintptr_t)(pos) + offsetof(typeof(*(pos)), member) == 0)
#define llist_for_each(pos, node) for ((pos) = (node); (pos); (pos) = (pos)->next)
#define llist_for_each_safe(pos, n, node) \
	for ((pos) = (node); (pos) && ((n) = (pos)->next, true); (pos) = (n))
#define llist_for_each_entry(pos, node, member)                                      \
	for ((pos) = llist_entry((node), typeof(*(pos)), member);                    \
	     !umc_llist_member_null(pos, member);                                    \
	     (pos) = llist_entry((pos)->member.next, typeof(*(pos)), member))
#define llist_for_each_entry_safe(pos, n, node, member)                              \
	for ((pos) = llist_entry((node), typeof(*(pos)), member);                    \
	     !umc_llist_member_null(pos, member) &&                                  \
	     ((n) = llist_entry((pos)->member.next, typeof(*(n)), member), true);    \
	     (pos) = (n))

/* Marks a node that is on no list. */
static inline void init_llist_node(struct llist_node *node)
{
	node->next = node;
}

static inline bool llist_on_list(const struct llist_node *node)
{
	return node->next != node;
}

static inline void init_llist_head(struct llist_head *list)
{
	list->first = NULL;
}

static inline bool llist_empty(const struct llist_head *head)
{
	return __atomic_load_n(&head->first, __ATOMIC_RELAXED) == NULL;
}

static inline struct llist_node *llist_next(struct llist_node *node)
{
	return node->next;
}

/* True when the list was empty before. */
static inline bool llist_add_batch(struct llist_node *first, struct llist_node *last, struct llist_head *head)
{
	struct llist_node *old = __atomic_load_n(&head->first, __ATOMIC_RELAXED);

	do {
		last->next = old;
	} while (!__atomic_compare_exchange_n(&head->first, &old, first, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return !old;
}

static inline bool llist_add(struct llist_node *node, struct llist_head *head)
{
	return llist_add_batch(node, node, head);
}

static inline struct llist_node *llist_del_all(struct llist_head *head)
{
	return __atomic_exchange_n(&head->first, NULL, __ATOMIC_SEQ_CST);
}

/* Of several consumers only one at a time may call this. */
static inline struct llist_node *llist_del_first(struct llist_head *head)
{
	struct llist_node *first = __atomic_load_n(&head->first, __ATOMIC_ACQUIRE);

	while (first && !__atomic_compare_exchange_n(&head->first, &first, first->next, false,
						     __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		;
	return first;
}

static inline struct llist_node *llist_reverse_order(struct llist_node *node)
{
	struct llist_node *reversed = NULL;

	while (node) {
		struct llist_node *next = node->next;

		node->next = reversed;
		reversed = node;
		node = next;
	}
	return reversed;
}

#endif
