/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rate limits (API of 6.12).
 * Rust owner: `ratelimit.rs`.
 */
#ifndef UMC_LINUX_RATELIMIT_H
#define UMC_LINUX_RATELIMIT_H

#include <linux/ratelimit_types.h>
#include <linux/bug.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

static inline void ratelimit_state_init(struct ratelimit_state *rs, int interval, int burst)
{
	*rs = (struct ratelimit_state)RATELIMIT_STATE_INIT(rs, interval, burst);
}

static inline void ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_state_init(rs, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
}

static inline void ratelimit_set_flags(struct ratelimit_state *rs, unsigned long flags)
{
	rs->flags = flags;
}

/* Reports how much was suppressed, where RATELIMIT_MSG_ON_RELEASE asks for it. */
extern void ratelimit_state_exit(struct ratelimit_state *rs);

#define WARN_ON_RATELIMIT(condition, state)                                                   \
	({                                                                                    \
		bool umc_limited_ = !!(condition);                                            \
		WARN_ON(umc_limited_ && __ratelimit(state));                                  \
		umc_limited_;                                                                 \
	})
#define WARN_RATELIMIT(condition, format, ...)                                                \
	({                                                                                    \
		static DEFINE_RATELIMIT_STATE(umc_rs_, DEFAULT_RATELIMIT_INTERVAL,            \
					      DEFAULT_RATELIMIT_BURST);                       \
		int umc_warn_ = !!(condition);                                                \
		if (unlikely(umc_warn_) && __ratelimit(&umc_rs_))                             \
			WARN(umc_warn_, format, ##__VA_ARGS__);                               \
		umc_warn_;                                                                    \
	})

#endif
