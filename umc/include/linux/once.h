/* SPDX-License-Identifier: GPL-2.0-only */
/* Doing something at most once a place (API of 6.12). */
#ifndef UMC_LINUX_ONCE_H
#define UMC_LINUX_ONCE_H

#include <linux/once_lite.h>

/* True for the call that ran the function. */
#define DO_ONCE(function, ...)                                                                \
	({                                                                                    \
		bool umc_ran_ = __ONCE_LITE_IF(true);                                         \
		if (umc_ran_)                                                                 \
			function(__VA_ARGS__);                                                \
		umc_ran_;                                                                     \
	})
#define DO_ONCE_SLEEPABLE(function, ...) DO_ONCE(function, ##__VA_ARGS__)
#define get_random_once(buf, nbytes) DO_ONCE(get_random_bytes, (buf), (nbytes))
#define get_random_sleepable_once(buf, nbytes) get_random_once(buf, nbytes)

#endif
