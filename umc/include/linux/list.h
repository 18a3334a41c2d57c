/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Doubly linked lists: rings with a head, and chains of hash buckets (API of 6.12).
 * A removed entry holds poisoned pointers, a reinitialized one points to itself.
 * Rust owner: none, pure data.
 */
#ifndef UMC_LINUX_LIST_H
#define UMC_LINUX_LIST_H

#include <linux/container_of.h>
#include <linux/types.h>
#include <linux/stddef.h>
#include <linux/poison.h>
#include <linux/const.h>
#include <asm/barrier.h>

#define LIST_HEAD_INIT(name) { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	WRITE_ONCE(list->next, list);
	WRITE_ONCE(list->prev, list);
}

static inline void __list_add(struct list_head *entry, struct list_head *prev, struct list_head *next)
{
	entry->next = next;
	entry->prev = prev;
	next->prev = entry;
	WRITE_ONCE(prev->next, entry);
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head->prev, head);
}

static inline void __list_del(struct list_head *prev, struct list_head *next)
{
	next->prev = prev;
	WRITE_ONCE(prev->next, next);
}

static inline void __list_del_entry(struct list_head *entry)
{
	__list_del(entry->prev, entry->next);
}

static inline void __list_del_clearprev(struct list_head *entry)
{
	__list_del_entry(entry);
	WRITE_ONCE(entry->prev, NULL);
}

static inline void list_del(struct list_head *entry)
{
	__list_del_entry(entry);
	entry->next = LIST_POISON1;
	entry->prev = LIST_POISON2;
}

static inline void list_del_init(struct list_head *entry)
{
	__list_del_entry(entry);
	INIT_LIST_HEAD(entry);
}

/* `entry` takes the place of `old`, which keeps its pointers. In the place of an empty head it is empty, too. */
static inline void list_replace(struct list_head *old, struct list_head *entry)
{
	if (old->next == old)
		INIT_LIST_HEAD(entry);
	else
		__list_add(entry, old->prev, old->next);
}

static inline void list_replace_init(struct list_head *old, struct list_head *entry)
{
	list_replace(old, entry);
	INIT_LIST_HEAD(old);
}

static inline void list_swap(struct list_head *one, struct list_head *other)
{
	struct list_head *before = other->prev;

	list_del(other);
	list_replace(one, other);
	list_add(one, before == one ? other : before);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	__list_del_entry(entry);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	__list_del_entry(entry);
	list_add_tail(entry, head);
}

static inline int list_is_first(const struct list_head *entry, const struct list_head *head)
{
	return entry->prev == head;
}

static inline int list_is_last(const struct list_head *entry, const struct list_head *head)
{
	return entry->next == head;
}

static inline int list_is_head(const struct list_head *entry, const struct list_head *head)
{
	return entry == head;
}

static inline int list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

/* Also sees a removal that is under way on another CPU, when only list_del_init_careful() can happen. */
static inline int list_empty_careful(const struct list_head *head)
{
	struct list_head *next = smp_load_acquire(&head->next);

	return list_is_head(next, head) && next == READ_ONCE(head->prev);
}

static inline void list_del_init_careful(struct list_head *entry)
{
	__list_del_entry(entry);
	WRITE_ONCE(entry->prev, entry);
	smp_store_release(&entry->next, entry);
}

static inline int list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline void list_rotate_left(struct list_head *head)
{
	if (!list_empty(head))
		list_move_tail(head->next, head);
}

static inline void list_rotate_to_front(struct list_head *entry, struct list_head *head)
{
	list_move_tail(head, entry);
}

/* The ring from `first` to `last` goes between `prev` and `next`. */
static inline void umc_list_link(struct list_head *first, struct list_head *last,
				 struct list_head *prev, struct list_head *next)
{
	first->prev = prev;
	WRITE_ONCE(prev->next, first);
	last->next = next;
	next->prev = last;
}

static inline void __list_splice(const struct list_head *list, struct list_head *prev,
				 struct list_head *next)
{
	umc_list_link(list->next, list->prev, prev, next);
}

static inline void list_splice(const struct list_head *list, struct list_head *head)
{
	if (!list_empty(list))
		__list_splice(list, head, head->next);
}

static inline void list_splice_tail(struct list_head *list, struct list_head *head)
{
	if (!list_empty(list))
		__list_splice(list, head->prev, head);
}

static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	list_splice(list, head);
	INIT_LIST_HEAD(list);
}

static inline void list_splice_tail_init(struct list_head *list, struct list_head *head)
{
	list_splice_tail(list, head);
	INIT_LIST_HEAD(list);
}

/* Moves the entries from `first` to `last` to the end of `head`. */
static inline void list_bulk_move_tail(struct list_head *head, struct list_head *first,
				       struct list_head *last)
{
	__list_del(first->prev, last->next);
	umc_list_link(first, last, head->prev, head);
}

/* `list` receives the entries of `head` up to and including `entry`; what it held is lost. */
static inline void list_cut_position(struct list_head *list, struct list_head *head,
				     struct list_head *entry)
{
	struct list_head *first = head->next, *rest = entry->next;

	if (list_empty(head) || (list_is_singular(head) && entry != head && entry != first))
		return;
	INIT_LIST_HEAD(list);
	if (entry == head)
		return;
	__list_del(head, rest);
	umc_list_link(first, entry, list, list);
}

static inline void list_cut_before(struct list_head *list, struct list_head *head,
				   struct list_head *entry)
{
	list_cut_position(list, head, entry->prev);
}

static inline size_t list_count_nodes(struct list_head *head)
{
	size_t count = 0;

	for (struct list_head *at = READ_ONCE(head->next); at != head; at = READ_ONCE(at->next))
		count++;
	return count;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(ptr, type, member) list_entry((ptr)->next, type, member)
#define list_last_entry(ptr, type, member) list_entry((ptr)->prev, type, member)
#define list_first_entry_or_null(ptr, type, member)                                           \
	({                                                                                    \
		struct list_head *umc_head_ = (ptr);                                          \
		struct list_head *umc_first_ = READ_ONCE(umc_head_->next);                    \
		umc_first_ == umc_head_ ? NULL : list_entry(umc_first_, type, member);        \
	})
#define list_last_entry_or_null(ptr, type, member)                                            \
	({                                                                                    \
		struct list_head *umc_head_ = (ptr);                                          \
		struct list_head *umc_last_ = READ_ONCE(umc_head_->prev);                     \
		umc_last_ == umc_head_ ? NULL : list_entry(umc_last_, type, member);          \
	})
#define list_next_entry(pos, member) list_entry((pos)->member.next, typeof(*(pos)), member)
#define list_prev_entry(pos, member) list_entry((pos)->member.prev, typeof(*(pos)), member)
#define list_next_entry_circular(pos, head, member)                                           \
	(list_is_last(&(pos)->member, head)                                                   \
		 ? list_first_entry(head, typeof(*(pos)), member)                             \
		 : list_next_entry(pos, member))
#define list_prev_entry_circular(pos, head, member)                                           \
	(list_is_first(&(pos)->member, head)                                                  \
		 ? list_last_entry(head, typeof(*(pos)), member)                              \
		 : list_prev_entry(pos, member))
#define list_entry_is_head(pos, head, member) (&(pos)->member == (head))

#define list_for_each(pos, head) for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)
#define list_for_each_reverse(pos, head) \
	for ((pos) = (head)->prev; (pos) != (head); (pos) = (pos)->prev)
#define list_for_each_prev(pos, head) list_for_each_reverse(pos, head)
#define list_for_each_continue(pos, head) \
	for ((pos) = (pos)->next; (pos) != (head); (pos) = (pos)->next)
#define list_for_each_safe(pos, n, head)                                                      \
	for ((pos) = (head)->next, (n) = (pos)->next; (pos) != (head);                        \
	     (pos) = (n), (n) = (pos)->next)
#define list_for_each_prev_safe(pos, n, head)                                                 \
	for ((pos) = (head)->prev, (n) = (pos)->prev; (pos) != (head);                        \
	     (pos) = (n), (n) = (pos)->prev)

/* Walks over entries: from `first`, by `step`, while `pos` is an entry of `head`. */
#define UMC_LIST_WALK(pos, head, member, first, step) \
	for (first; !list_entry_is_head(pos, head, member); (pos) = step(pos, member))
#define list_for_each_entry(pos, head, member)                                                \
	UMC_LIST_WALK(pos, head, member, (pos) = list_first_entry(head, typeof(*(pos)), member), \
		      list_next_entry)
#define list_for_each_entry_reverse(pos, head, member)                                        \
	UMC_LIST_WALK(pos, head, member, (pos) = list_last_entry(head, typeof(*(pos)), member), \
		      list_prev_entry)
#define list_prepare_entry(pos, head, member) ((pos) ?: list_entry(head, typeof(*(pos)), member))
#define list_for_each_entry_continue(pos, head, member) \
	UMC_LIST_WALK(pos, head, member, (pos) = list_next_entry(pos, member), list_next_entry)
#define list_for_each_entry_continue_reverse(pos, head, member) \
	UMC_LIST_WALK(pos, head, member, (pos) = list_prev_entry(pos, member), list_prev_entry)
#define list_for_each_entry_from(pos, head, member) \
	UMC_LIST_WALK(pos, head, member, (void)0, list_next_entry)
#define list_for_each_entry_from_reverse(pos, head, member) \
	UMC_LIST_WALK(pos, head, member, (void)0, list_prev_entry)

/* The same, where the body may remove `pos`: `n` is already the one after it. */
#define UMC_LIST_WALK_SAFE(pos, n, head, member, first, step)                                 \
	for (first, (n) = step(pos, member); !list_entry_is_head(pos, head, member);          \
	     (pos) = (n), (n) = step(n, member))
#define list_for_each_entry_safe(pos, n, head, member)                                        \
	UMC_LIST_WALK_SAFE(pos, n, head, member,                                              \
			   (pos) = list_first_entry(head, typeof(*(pos)), member),            \
			   list_next_entry)
#define list_for_each_entry_safe_reverse(pos, n, head, member)                                \
	UMC_LIST_WALK_SAFE(pos, n, head, member,                                              \
			   (pos) = list_last_entry(head, typeof(*(pos)), member),             \
			   list_prev_entry)
#define list_for_each_entry_safe_continue(pos, n, head, member)                               \
	UMC_LIST_WALK_SAFE(pos, n, head, member, (pos) = list_next_entry(pos, member),        \
			   list_next_entry)
#define list_for_each_entry_safe_from(pos, n, head, member) \
	UMC_LIST_WALK_SAFE(pos, n, head, member, (void)0, list_next_entry)
#define list_safe_reset_next(pos, n, member) ((n) = list_next_entry(pos, member))

/* Chains with a one-pointer head. */
#define HLIST_HEAD_INIT { .first = NULL }
#define HLIST_HEAD(name) struct hlist_head name = HLIST_HEAD_INIT
#define INIT_HLIST_HEAD(ptr) ((ptr)->first = NULL)

static inline void INIT_HLIST_NODE(struct hlist_node *node)
{
	node->next = NULL;
	node->pprev = NULL;
}

static inline int hlist_unhashed(const struct hlist_node *node)
{
	return !node->pprev;
}

static inline int hlist_unhashed_lockless(const struct hlist_node *node)
{
	return !READ_ONCE(node->pprev);
}

static inline int hlist_empty(const struct hlist_head *head)
{
	return !READ_ONCE(head->first);
}

static inline void __hlist_del(struct hlist_node *node)
{
	struct hlist_node *next = node->next, **pprev = node->pprev;

	WRITE_ONCE(*pprev, next);
	if (next)
		WRITE_ONCE(next->pprev, pprev);
}

static inline void hlist_del(struct hlist_node *node)
{
	__hlist_del(node);
	node->next = LIST_POISON1;
	node->pprev = LIST_POISON2;
}

static inline void hlist_del_init(struct hlist_node *node)
{
	if (!hlist_unhashed(node)) {
		__hlist_del(node);
		INIT_HLIST_NODE(node);
	}
}

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	WRITE_ONCE(node->next, first);
	if (first)
		WRITE_ONCE(first->pprev, &node->next);
	WRITE_ONCE(head->first, node);
	WRITE_ONCE(node->pprev, &head->first);
}

static inline void hlist_add_before(struct hlist_node *node, struct hlist_node *next)
{
	WRITE_ONCE(node->pprev, next->pprev);
	WRITE_ONCE(node->next, next);
	WRITE_ONCE(next->pprev, &node->next);
	WRITE_ONCE(*(node->pprev), node);
}

static inline void hlist_add_behind(struct hlist_node *node, struct hlist_node *prev)
{
	WRITE_ONCE(node->next, prev->next);
	WRITE_ONCE(prev->next, node);
	WRITE_ONCE(node->pprev, &prev->next);
	if (node->next)
		WRITE_ONCE(node->next->pprev, &node->next);
}

/* A node on no chain that hlist_del() can still remove. */
static inline void hlist_add_fake(struct hlist_node *node)
{
	node->pprev = &node->next;
}

static inline bool hlist_fake(struct hlist_node *node)
{
	return node->pprev == &node->next;
}

static inline bool hlist_is_singular_node(struct hlist_node *node, struct hlist_head *head)
{
	return !node->next && node->pprev == &head->first;
}

static inline void hlist_move_list(struct hlist_head *from, struct hlist_head *to)
{
	to->first = from->first;
	if (to->first)
		to->first->pprev = &to->first;
	from->first = NULL;
}

#define hlist_entry(ptr, type, member) container_of(ptr, type, member)
#define hlist_entry_safe(ptr, type, member)                                                   \
	({                                                                                    \
		typeof(ptr) umc_node_ = (ptr);                                                \
		umc_node_ ? hlist_entry(umc_node_, type, member) : NULL;                      \
	})
static inline size_t hlist_count_nodes(struct hlist_head *head)
{
	size_t count = 0;

	for (struct hlist_node *at = READ_ONCE(head->first); at; at = READ_ONCE(at->next))
		count++;
	return count;
}

#define hlist_for_each(pos, head) for ((pos) = (head)->first; (pos); (pos) = (pos)->next)
#define hlist_for_each_safe(pos, n, head) \
	for ((pos) = (head)->first; (pos) && ((n) = (pos)->next, 1); (pos) = (n))
#define hlist_for_each_entry(pos, head, member)                                               \
	for ((pos) = hlist_entry_safe((head)->first, typeof(*(pos)), member); (pos);          \
	     (pos) = hlist_entry_safe((pos)->member.next, typeof(*(pos)), member))
#define hlist_for_each_entry_continue(pos, member)                                            \
	for ((pos) = hlist_entry_safe((pos)->member.next, typeof(*(pos)), member); (pos);     \
	     (pos) = hlist_entry_safe((pos)->member.next, typeof(*(pos)), member))
#define hlist_for_each_entry_from(pos, member) \
	for (; (pos); (pos) = hlist_entry_safe((pos)->member.next, typeof(*(pos)), member))
#define hlist_for_each_entry_safe(pos, n, head, member)                                       \
	for ((pos) = hlist_entry_safe((head)->first, typeof(*(pos)), member);                 \
	     (pos) && ((n) = (pos)->member.next, 1);                                          \
	     (pos) = hlist_entry_safe(n, typeof(*(pos)), member))

#endif
