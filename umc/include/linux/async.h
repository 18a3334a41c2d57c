/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls in the background (API of 6.12). Differs: each is made at once, as Linux does without memory. */
#ifndef UMC_LINUX_ASYNC_H
#define UMC_LINUX_ASYNC_H

#include <linux/types.h>

typedef u64 async_cookie_t;
typedef void (*async_func_t)(void *data, async_cookie_t cookie);

/* umc: shared */
struct async_domain {
	async_cookie_t umc_next;
};

#define ASYNC_DOMAIN(name) struct async_domain name = { 0 }
#define ASYNC_DOMAIN_EXCLUSIVE(name) ASYNC_DOMAIN(name)

/* In the context of the function. */
static inline async_cookie_t async_schedule_domain(async_func_t func, void *data, struct async_domain *domain)
{
	async_cookie_t cookie = ++domain->umc_next;

	func(data, cookie);
	return cookie;
}

static inline void async_synchronize_full_domain(struct async_domain *domain)
{
}

#endif
