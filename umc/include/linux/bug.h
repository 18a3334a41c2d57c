/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks at run time (API of 6.12). BUG ends the process, WARN writes a backtrace to the log and goes on.
 * Differs from Linux: the message shows the failed condition.
 * Rust owner: `bug.rs`; the variadic function is in glue/printf.c.
 */
#ifndef UMC_LINUX_BUG_H
#define UMC_LINUX_BUG_H

#include <linux/align.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/instruction_pointer.h>
#include <linux/once_lite.h>
#include <linux/panic.h>
#include <linux/printk.h>

/* `condition` is NULL for BUG(). Any context. */
extern void umc_bug(const char *file, int line, const char *function, const char *condition)
	__noreturn __cold;
extern void umc_warn_on(const char *file, int line, const char *function, const char *condition)
	__cold;
extern void umc_warn(const char *file, int line, const char *function, const char *fmt, ...)
	__cold __printf(4, 5);

#define BUG() umc_bug(__FILE__, __LINE__, __func__, NULL)
#define BUG_ON(condition)                                                                     \
	do {                                                                                  \
		if (unlikely(condition))                                                      \
			umc_bug(__FILE__, __LINE__, __func__, #condition);                    \
	} while (0)

#define __WARN() umc_warn_on(__FILE__, __LINE__, __func__, NULL)
#define __WARN_printf(taint, fmt, ...) \
	umc_warn(__FILE__, __LINE__, __func__, fmt, ##__VA_ARGS__)
#define WARN_ON(condition)                                                                    \
	({                                                                                    \
		int umc_warn_on_ = !!(condition);                                             \
		if (unlikely(umc_warn_on_))                                                   \
			umc_warn_on(__FILE__, __LINE__, __func__, #condition);                \
		unlikely(umc_warn_on_);                                                       \
	})
#define WARN(condition, fmt, ...)                                                             \
	({                                                                                    \
		int umc_warn_on_ = !!(condition);                                             \
		if (unlikely(umc_warn_on_))                                                   \
			umc_warn(__FILE__, __LINE__, __func__, fmt, ##__VA_ARGS__);           \
		unlikely(umc_warn_on_);                                                       \
	})
#define WARN_TAINT(condition, taint, fmt, ...) WARN(condition, fmt, ##__VA_ARGS__)
#define WARN_ON_ONCE(condition)                                                               \
	DO_ONCE_LITE_IF(condition, umc_warn_on, __FILE__, __LINE__, __func__, #condition)
#define WARN_ONCE(condition, fmt, ...)                                                        \
	DO_ONCE_LITE_IF(condition, umc_warn, __FILE__, __LINE__, __func__, fmt, ##__VA_ARGS__)
#define WARN_TAINT_ONCE(condition, taint, fmt, ...) WARN_ONCE(condition, fmt, ##__VA_ARGS__)
#define WARN_ON_SMP(condition) WARN_ON(condition)
#define CHECK_DATA_CORRUPTION(condition, addr, fmt, ...) WARN(condition, fmt, ##__VA_ARGS__)

#endif
