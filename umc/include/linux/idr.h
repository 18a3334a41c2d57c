/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small integers to pointers: idr, and ida, which only hands out the integers (API of 6.12).
 * Differs from Linux: each table has a lock of its own inside. Lookups may run beside changes, under rcu_read_lock as
 * on Linux; changes of one table may run beside each other, too.
 * Rust owner: `idr.rs`.
 */
#ifndef UMC_LINUX_IDR_H
#define UMC_LINUX_IDR_H

#include <linux/gfp.h>
#include <linux/types.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/xarray.h>

/* umc: opaque */
struct idr {
	unsigned long __umc[4];
};

/* umc: opaque */
struct ida {
	unsigned long __umc[4];
};

#define IDR_INIT(name) { { 0 } }
#define IDR_INIT_BASE(name, base) { { 0, 0, (base), 0 } }
#define DEFINE_IDR(name) struct idr name = IDR_INIT(name)
#define IDA_INIT(name) { { 0 } }
#define DEFINE_IDA(name) struct ida name = IDA_INIT(name)

extern void idr_init_base(struct idr *idr, int base);
/* Flags that allow sleeping are honoured by memory that never runs out: none of these sleeps. */
extern int idr_alloc(struct idr *idr, void *ptr, int start, int end, gfp_t gfp);
extern int __must_check idr_alloc_u32(struct idr *idr, void *ptr, u32 *id, unsigned long max,
				      gfp_t gfp);
extern int idr_alloc_cyclic(struct idr *idr, void *ptr, int start, int end, gfp_t gfp);
extern void *idr_remove(struct idr *idr, unsigned long id);
extern void *idr_find(const struct idr *idr, unsigned long id);
extern int idr_for_each(const struct idr *idr, int (*fn)(int id, void *p, void *data), void *data);
extern void *idr_get_next(struct idr *idr, int *nextid);
extern void *idr_get_next_ul(struct idr *idr, unsigned long *nextid);
extern void *idr_replace(struct idr *idr, void *ptr, unsigned long id);
extern void idr_destroy(struct idr *idr);
extern bool idr_is_empty(const struct idr *idr);
extern unsigned int idr_get_cursor(const struct idr *idr);
extern void idr_set_cursor(struct idr *idr, unsigned int val);

extern int ida_alloc_range(struct ida *ida, unsigned int min, unsigned int max, gfp_t gfp);
extern void ida_free(struct ida *ida, unsigned int id);
extern void ida_destroy(struct ida *ida);
extern bool ida_is_empty(const struct ida *ida);

static inline void idr_init(struct idr *idr)
{
	idr_init_base(idr, 0);
}

static inline void ida_init(struct ida *ida)
{
	*ida = (struct ida)IDA_INIT(ida);
}

/* Nothing to load in advance: an allocation does not fail for lack of a preloaded node. */
static inline void idr_preload(gfp_t gfp)
{
	(void)gfp;
}

static inline void idr_preload_end(void)
{
}

static inline int ida_alloc(struct ida *ida, gfp_t gfp)
{
	return ida_alloc_range(ida, 0, ~0U, gfp);
}

static inline int ida_alloc_min(struct ida *ida, unsigned int min, gfp_t gfp)
{
	return ida_alloc_range(ida, min, ~0U, gfp);
}

static inline int ida_alloc_max(struct ida *ida, unsigned int max, gfp_t gfp)
{
	return ida_alloc_range(ida, 0, max, gfp);
}

#define ida_simple_get(ida, start, end, gfp) ida_alloc_range(ida, start, (end) - 1, gfp)
#define ida_simple_remove(ida, id) ida_free(ida, id)

#define idr_for_each_entry_continue(idr, entry, id) \
	for ((entry) = idr_get_next((idr), &(id)); (entry);                                   \
	     ++(id), (entry) = idr_get_next((idr), &(id)))
#define idr_for_each_entry(idr, entry, id)                                                    \
	for ((id) = 0, (entry) = idr_get_next((idr), &(id)); (entry) != NULL;                 \
	     (id) += 1U, (entry) = idr_get_next((idr), &(id)))
/* `tmp` notices when the id wraps. */
#define idr_for_each_entry_ul(idr, entry, tmp, id)                                            \
	for ((tmp) = 0, (id) = 0;                                                             \
	     ((entry) = (tmp) <= (id) ? idr_get_next_ul((idr), &(id)) : NULL) != NULL;        \
	     (tmp) = (id), ++(id))
#define idr_for_each_entry_continue_ul(idr, entry, tmp, id)                                   \
	for ((tmp) = (id);                                                                    \
	     ((entry) = (tmp) <= (id) ? idr_get_next_ul((idr), &(id)) : NULL) != NULL;        \
	     (tmp) = (id), ++(id))

#endif
