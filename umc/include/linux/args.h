/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting and pasting macro arguments (API of 6.12). */
#ifndef UMC_LINUX_ARGS_H
#define UMC_LINUX_ARGS_H

#define UMC_ARG_16(_0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _a, _b, _c, _d, _e, _f, n, ...) n
#define COUNT_ARGS(...)                                                                       \
	UMC_ARG_16(, ##__VA_ARGS__, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define __CONCAT(a, b) a##b
#define CONCATENATE(a, b) __CONCAT(a, b)

#endif
