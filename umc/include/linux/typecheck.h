/* SPDX-License-Identifier: GPL-2.0-only */
/* Compile-time comparison of types; both macros are 1 (API of 6.12). */
#ifndef UMC_LINUX_TYPECHECK_H
#define UMC_LINUX_TYPECHECK_H

#define typecheck(type, x)                                                                    \
	({                                                                                    \
		type umc_wanted_;                                                             \
		typeof(x) umc_given_;                                                         \
		(void)(&umc_wanted_ == &umc_given_);                                          \
		1;                                                                            \
	})
#define typecheck_fn(type, function)                                                          \
	({                                                                                    \
		typeof(type) *umc_function_ = function;                                       \
		(void)umc_function_;                                                          \
	})
#define typecheck_pointer(x)                                                                  \
	({                                                                                    \
		typeof(x) umc_pointer_;                                                       \
		(void)sizeof(*umc_pointer_);                                                  \
		1;                                                                            \
	})

#endif
