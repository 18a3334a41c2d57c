/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IS_ENABLED and its relatives, and the configuration itself: this header is force-included (API of 6.12).
 * Rust owner: none, compile-time only.
 */
#ifndef UMC_LINUX_KCONFIG_H
#define UMC_LINUX_KCONFIG_H

#include <generated/autoconf.h>

/* UMC_IS_1(CONFIG_X) is 1 when the macro is defined as 1, else 0. Also valid in #if. */
#define UMC_CONFIG_PROBE_1 ~, 1
#define UMC_CONFIG_SECOND(first, second, ...) second
#define UMC_CONFIG_PICK(...) UMC_CONFIG_SECOND(__VA_ARGS__, 0, 0)
#define UMC_IS_1_PASTED(value) UMC_CONFIG_PICK(UMC_CONFIG_PROBE_##value)
#define UMC_IS_1(option) UMC_IS_1_PASTED(option)
/* The same of CONFIG_X_MODULE; takes the option's unexpanded name. */
#define UMC_IS_MODULE(option) UMC_IS_1(option##_MODULE)

#define IS_BUILTIN(option) UMC_IS_1(option)
#define IS_MODULE(option) UMC_IS_MODULE(option)
#define IS_ENABLED(option) (UMC_IS_1(option) || UMC_IS_MODULE(option))
#ifdef MODULE
#define IS_REACHABLE(option) IS_ENABLED(option)
#else
#define IS_REACHABLE(option) IS_BUILTIN(option)
#endif

#define __is_defined(x) UMC_IS_1(x)
#define __or(x, y) (UMC_IS_1(x) || UMC_IS_1(y))

/* The host is little-endian: the only byte order this project runs on. */
#ifndef __LITTLE_ENDIAN
#define __LITTLE_ENDIAN 1234
#endif

#endif
