/* SPDX-License-Identifier: GPL-2.0-only */
/* The variadic parts of linux/kthread.h and linux/workqueue.h: formatting of the name, then Rust. */

#include <stdarg.h>
#include <stddef.h>

#define NAME_MAX_LEN 64

struct task_struct;
struct workqueue_struct;

extern int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
/* umc/src/sync/kthread.rs, umc/src/sync/workqueue.rs */
extern struct task_struct *umc_kthread_create(int (*threadfn)(void *data), void *data, const char *name);
extern struct workqueue_struct *umc_alloc_workqueue(const char *name, unsigned int flags, int max_active);

struct task_struct *kthread_create_on_node(int (*threadfn)(void *data), void *data, int node,
					   const char namefmt[], ...)
{
	char name[NAME_MAX_LEN];
	va_list args;

	/* Memory has one node. */
	(void)node;
	va_start(args, namefmt);
	umc_vsnprintf(name, sizeof(name), namefmt, args);
	va_end(args);
	return umc_kthread_create(threadfn, data, name);
}

struct workqueue_struct *alloc_workqueue(const char *fmt, unsigned int flags, int max_active, ...)
{
	char name[NAME_MAX_LEN];
	va_list args;

	va_start(args, max_active);
	umc_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return umc_alloc_workqueue(name, flags, max_active);
}
