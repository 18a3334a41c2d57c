/* SPDX-License-Identifier: GPL-2.0-only */
/* Conditions that must hold for the file to compile (API of 6.12). */
#ifndef UMC_LINUX_BUILD_BUG_H
#define UMC_LINUX_BUILD_BUG_H

#include <linux/compiler.h>

/* The condition of BUILD_BUG_ON may need the optimizer, so it cannot be a _Static_assert. */
#define BUILD_BUG_ON_MSG(condition, message) compiletime_assert(!(condition), message)
#define BUILD_BUG_ON(condition) BUILD_BUG_ON_MSG(condition, "BUILD_BUG_ON failed: " #condition)
#define BUILD_BUG() BUILD_BUG_ON_MSG(1, "BUILD_BUG reached")
#define BUILD_BUG_ON_NOT_POWER_OF_2(n) BUILD_BUG_ON((n) == 0 || (((n) & ((n) - 1)) != 0))
#define __BUILD_BUG_ON_NOT_POWER_OF_2(n) BUILD_BUG_ON(((n) & ((n) - 1)) != 0)
#define BUILD_BUG_ON_INVALID(e) ((void)(sizeof((long)(e))))
/* Zero, as an int; a negative bit-field width when `e` is true. */
#define BUILD_BUG_ON_ZERO(e, ...) ((int)(sizeof(struct { int : (-!!(e)); })))

#define UMC_STATIC_ASSERT(condition, message, ...) _Static_assert(condition, message)
#define static_assert(condition, ...) UMC_STATIC_ASSERT(condition, ##__VA_ARGS__, #condition)

#endif
