/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists that are read under RCU while a writer changes them (API of 6.12).
 * A removed entry keeps its forward pointer, so a reader that stands on it finds its way back.
 * Rust owner: none, pure data; grace periods are those of linux/rcupdate.h.
 */
#ifndef UMC_LINUX_RCULIST_H
#define UMC_LINUX_RCULIST_H

#include <linux/list.h>
#include <linux/rcupdate.h>

#define list_next_rcu(list) (*((struct list_head **)(&(list)->next)))
#define list_tail_rcu(head) (*((struct list_head **)(&(head)->prev)))

static inline void INIT_LIST_HEAD_RCU(struct list_head *list)
{
	INIT_LIST_HEAD(list);
}

/* Readers see the entry only when it is complete. */
static inline void __list_add_rcu(struct list_head *entry, struct list_head *prev,
				  struct list_head *next)
{
	entry->next = next;
	entry->prev = prev;
	smp_store_release(&prev->next, entry);
	next->prev = entry;
}

static inline void list_add_rcu(struct list_head *entry, struct list_head *head)
{
	__list_add_rcu(entry, head, head->next);
}

static inline void list_add_tail_rcu(struct list_head *entry, struct list_head *head)
{
	__list_add_rcu(entry, head->prev, head);
}

static inline void list_del_rcu(struct list_head *entry)
{
	__list_del_entry(entry);
	entry->prev = LIST_POISON2;
}

static inline void list_bidir_del_rcu(struct list_head *entry)
{
	__list_del_entry(entry);
}

static inline void list_replace_rcu(struct list_head *old, struct list_head *entry)
{
	entry->next = old->next;
	entry->prev = old->prev;
	smp_store_release(&entry->prev->next, entry);
	entry->next->prev = entry;
	old->prev = LIST_POISON2;
}

/* `sync` is synchronize_rcu or a relative: it runs while readers may still walk from `list` into its old entries. */
static inline void umc_list_splice_init_rcu(struct list_head *list, struct list_head *prev,
					    struct list_head *next, void (*sync)(void))
{
	struct list_head *first = list->next, *last = list->prev;

	if (list_empty(list))
		return;
	INIT_LIST_HEAD(list);
	sync();
	last->next = next;
	smp_store_release(&prev->next, first);
	first->prev = prev;
	next->prev = last;
}

static inline void list_splice_init_rcu(struct list_head *list, struct list_head *head,
					void (*sync)(void))
{
	umc_list_splice_init_rcu(list, head, head->next, sync);
}

static inline void list_splice_tail_init_rcu(struct list_head *list, struct list_head *head,
					     void (*sync)(void))
{
	umc_list_splice_init_rcu(list, head->prev, head, sync);
}

#define list_entry_rcu(ptr, type, member) container_of(READ_ONCE(ptr), type, member)
#define list_entry_lockless(ptr, type, member) container_of((typeof(ptr))READ_ONCE(ptr), type, member)
#define list_first_or_null_rcu(ptr, type, member)                                             \
	({                                                                                    \
		struct list_head *umc_head_ = (ptr);                                          \
		struct list_head *umc_first_ = READ_ONCE(umc_head_->next);                    \
		umc_first_ == umc_head_ ? NULL : container_of(umc_first_, type, member);      \
	})
#define list_next_or_null_rcu(head, ptr, type, member)                                        \
	({                                                                                    \
		struct list_head *umc_head_ = (head);                                         \
		struct list_head *umc_next_ = READ_ONCE((ptr)->next);                         \
		umc_next_ == umc_head_ ? NULL : container_of(umc_next_, type, member);        \
	})
/* A fourth argument, a lockdep condition, is accepted and ignored. */
#define list_for_each_entry_rcu(pos, head, member, ...)                                       \
	for ((pos) = list_entry_rcu((head)->next, typeof(*(pos)), member);                    \
	     &(pos)->member != (head);                                                        \
	     (pos) = list_entry_rcu((pos)->member.next, typeof(*(pos)), member))
#define list_for_each_entry_srcu(pos, head, member, ...) \
	list_for_each_entry_rcu(pos, head, member)
#define list_for_each_entry_lockless(pos, head, member) list_for_each_entry_rcu(pos, head, member)
#define list_for_each_entry_continue_rcu(pos, head, member)                                   \
	for ((pos) = list_entry_rcu((pos)->member.next, typeof(*(pos)), member);              \
	     &(pos)->member != (head);                                                        \
	     (pos) = list_entry_rcu((pos)->member.next, typeof(*(pos)), member))
#define list_for_each_entry_from_rcu(pos, head, member)                                       \
	for (; &(pos)->member != (head);                                                      \
	     (pos) = list_entry_rcu((pos)->member.next, typeof(*(pos)), member))
#define list_for_each_rcu(pos, head)                                                          \
	for ((pos) = rcu_dereference((head)->next); (pos) != (head);                          \
	     (pos) = rcu_dereference((pos)->next))

#define hlist_first_rcu(head) (*((struct hlist_node **)(&(head)->first)))
#define hlist_next_rcu(node) (*((struct hlist_node **)(&(node)->next)))
#define hlist_pprev_rcu(node) (*((struct hlist_node **)((node)->pprev)))

static inline void hlist_del_rcu(struct hlist_node *node)
{
	__hlist_del(node);
	WRITE_ONCE(node->pprev, LIST_POISON2);
}

static inline void hlist_del_init_rcu(struct hlist_node *node)
{
	if (!hlist_unhashed(node)) {
		__hlist_del(node);
		WRITE_ONCE(node->pprev, NULL);
	}
}

static inline void hlist_add_head_rcu(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	node->next = first;
	WRITE_ONCE(node->pprev, &head->first);
	smp_store_release(&head->first, node);
	if (first)
		WRITE_ONCE(first->pprev, &node->next);
}

static inline void hlist_replace_rcu(struct hlist_node *old, struct hlist_node *node)
{
	node->next = old->next;
	WRITE_ONCE(node->pprev, old->pprev);
	smp_store_release(node->pprev, node);
	if (node->next)
		WRITE_ONCE(node->next->pprev, &node->next);
	WRITE_ONCE(old->pprev, LIST_POISON2);
}

static inline void hlist_add_before_rcu(struct hlist_node *node, struct hlist_node *next)
{
	WRITE_ONCE(node->pprev, next->pprev);
	node->next = next;
	smp_store_release(node->pprev, node);
	WRITE_ONCE(next->pprev, &node->next);
}

static inline void hlist_add_behind_rcu(struct hlist_node *node, struct hlist_node *prev)
{
	node->next = prev->next;
	WRITE_ONCE(node->pprev, &prev->next);
	smp_store_release(&prev->next, node);
	if (node->next)
		WRITE_ONCE(node->next->pprev, &node->next);
}

static inline void hlist_add_tail_rcu(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *last = head->first;

	if (!last) {
		hlist_add_head_rcu(node, head);
		return;
	}
	while (last->next)
		last = last->next;
	hlist_add_behind_rcu(node, last);
}

#define hlist_for_each_entry_rcu(pos, head, member, ...)                                      \
	for ((pos) = hlist_entry_safe(rcu_dereference_raw((head)->first), typeof(*(pos)), member); \
	     (pos);                                                                           \
	     (pos) = hlist_entry_safe(rcu_dereference_raw((pos)->member.next), typeof(*(pos)), member))
#define hlist_for_each_entry_srcu(pos, head, member, ...) hlist_for_each_entry_rcu(pos, head, member)
#define hlist_for_each_entry_rcu_notrace(pos, head, member) hlist_for_each_entry_rcu(pos, head, member)
#define hlist_for_each_entry_rcu_bh(pos, head, member) hlist_for_each_entry_rcu(pos, head, member)
#define hlist_for_each_entry_continue_rcu(pos, member)                                        \
	for ((pos) = hlist_entry_safe(rcu_dereference_raw((pos)->member.next), typeof(*(pos)), member); \
	     (pos);                                                                           \
	     (pos) = hlist_entry_safe(rcu_dereference_raw((pos)->member.next), typeof(*(pos)), member))
#define hlist_for_each_entry_from_rcu(pos, member)                                            \
	for (; (pos);                                                                         \
	     (pos) = hlist_entry_safe(rcu_dereference_raw((pos)->member.next), typeof(*(pos)), member))

#endif
