/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting and pasting macro arguments (API of 6.12). */
#ifndef UMC_LINUX_ARGS_H
#define UMC_LINUX_ARGS_H

/* How many arguments, up to twelve: they push the right one of the numbers behind them into the last place. */
#define UMC_THIRTEENTH(a, b, c, d, e, f, g, h, i, j, k, l, number, ...) number
#define COUNT_ARGS(...)                                                                       \
	UMC_THIRTEENTH(__VA_ARGS__ __VA_OPT__(,) 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define __CONCAT(a, b) a##b
#define CONCATENATE(a, b) __CONCAT(a, b)

#endif
