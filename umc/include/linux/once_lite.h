/* SPDX-License-Identifier: GPL-2.0-only */
/* Doing something at most once a place (API of 6.12). */
#ifndef UMC_LINUX_ONCE_LITE_H
#define UMC_LINUX_ONCE_LITE_H

#include <linux/types.h>
#include <linux/compiler.h>

/* True for the first evaluation with a true condition. */
#define __ONCE_LITE_IF(condition)                                                             \
	({                                                                                    \
		static bool umc_done_;                                                        \
		bool umc_holds_ = !!(condition);                                              \
		unlikely(umc_holds_ && !READ_ONCE(umc_done_) &&                               \
			 !__atomic_exchange_n(&umc_done_, 1, __ATOMIC_RELAXED));              \
	})
#define DO_ONCE_LITE_IF(condition, function, ...)                                             \
	({                                                                                    \
		bool umc_once_if_ = !!(condition);                                            \
		if (__ONCE_LITE_IF(umc_once_if_))                                             \
			function(__VA_ARGS__);                                                \
		unlikely(umc_once_if_);                                                       \
	})
#define DO_ONCE_LITE(function, ...) DO_ONCE_LITE_IF(true, function, ##__VA_ARGS__)

#endif
