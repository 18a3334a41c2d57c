/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel log (API of 6.12).
 * Differs from Linux: each kernel of the process has its own; no console drivers, no dynamic debug.
 * Rust owner: `printk.rs`; the variadic functions are in glue/printf.c.
 */
#ifndef UMC_LINUX_PRINTK_H
#define UMC_LINUX_PRINTK_H

#include <linux/stdarg.h>
#include <linux/init.h>
#include <linux/kern_levels.h>
#include <linux/linkage.h>
#include <linux/ratelimit_types.h>
#include <linux/once_lite.h>

#define MESSAGE_LOGLEVEL_DEFAULT LOGLEVEL_WARNING
#define CONSOLE_LOGLEVEL_SILENT 0
#define CONSOLE_LOGLEVEL_MIN 1
#define CONSOLE_LOGLEVEL_DEBUG 10
#define CONSOLE_LOGLEVEL_MOTORMOUTH 15
#define CONSOLE_LOGLEVEL_DEFAULT 7
#define CONSOLE_LOGLEVEL_QUIET 4

#define FW_BUG "[Firmware Bug]: "
#define FW_WARN "[Firmware Warn]: "
#define FW_INFO "[Firmware Info]: "
#define HW_ERR "[Hardware Error]: "
#define DEPRECATED "[Deprecated]: "

/* A format with its arguments, printed by %pV. */
/* umc: shared */
struct va_format {
	const char *fmt;
	va_list *va;
};

/* Any context. */
extern int vprintk(const char *fmt, va_list args) __printf(1, 0);
extern int _printk(const char *fmt, ...) __printf(1, 2) __cold;
extern int _printk_deferred(const char *fmt, ...) __printf(1, 2) __cold;
extern int vprintk_deferred(const char *fmt, va_list args) __printf(1, 0);

extern void dump_stack(void) __cold;
extern void dump_stack_lvl(const char *level) __cold;
extern int __printk_ratelimit(const char *func);
#define printk_ratelimit() __printk_ratelimit(__func__)
extern bool printk_timed_ratelimit(unsigned long *caller_jiffies, unsigned int interval_msec);

static inline int printk_get_level(const char *buffer)
{
	if (buffer[0] == KERN_SOH_ASCII && buffer[1] &&
	    ((buffer[1] >= '0' && buffer[1] <= '7') || buffer[1] == 'c'))
		return buffer[1];
	return 0;
}

static inline const char *printk_skip_level(const char *buffer)
{
	return printk_get_level(buffer) ? buffer + 2 : buffer;
}

static inline const char *printk_skip_headers(const char *buffer)
{
	while (printk_get_level(buffer))
		buffer = printk_skip_level(buffer);
	return buffer;
}

/* Checked by the compiler, never called. */
#define no_printk(fmt, ...)                                                                   \
	({                                                                                    \
		if (0)                                                                        \
			_printk(fmt, ##__VA_ARGS__);                                          \
		0;                                                                            \
	})
#define printk(fmt, ...) _printk(fmt, ##__VA_ARGS__)
#define printk_deferred(fmt, ...) _printk_deferred(fmt, ##__VA_ARGS__)
#define printk_deferred_enter() do { } while (0)
#define printk_deferred_exit() do { } while (0)

#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif

#define pr_emerg(fmt, ...) printk(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_alert(fmt, ...) printk(KERN_ALERT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit(fmt, ...) printk(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err(fmt, ...) printk(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice(fmt, ...) printk(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) printk(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_cont(fmt, ...) printk(KERN_CONT fmt, ##__VA_ARGS__)

/* Debug messages exist only in a file compiled with -DDEBUG. */
#ifdef DEBUG
#define UMC_DEBUG_PRINTK(...) printk(__VA_ARGS__)
#define UMC_DEBUG_ONCE(...) printk_once(__VA_ARGS__)
#define UMC_DEBUG_RATELIMITED(...) printk_ratelimited(__VA_ARGS__)
#else
#define UMC_DEBUG_PRINTK(...) no_printk(__VA_ARGS__)
#define UMC_DEBUG_ONCE(...) no_printk(__VA_ARGS__)
#define UMC_DEBUG_RATELIMITED(...) no_printk(__VA_ARGS__)
#endif
#define pr_devel(fmt, ...) UMC_DEBUG_PRINTK(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_debug(fmt, ...) UMC_DEBUG_PRINTK(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)

#define printk_once(fmt, ...) DO_ONCE_LITE(printk, fmt, ##__VA_ARGS__)
#define printk_deferred_once(fmt, ...) DO_ONCE_LITE(printk_deferred, fmt, ##__VA_ARGS__)
#define pr_emerg_once(fmt, ...) printk_once(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_alert_once(fmt, ...) printk_once(KERN_ALERT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit_once(fmt, ...) printk_once(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err_once(fmt, ...) printk_once(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn_once(fmt, ...) printk_once(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice_once(fmt, ...) printk_once(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info_once(fmt, ...) printk_once(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_debug_once(fmt, ...) UMC_DEBUG_ONCE(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_devel_once(fmt, ...) UMC_DEBUG_ONCE(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)

#define printk_ratelimited(fmt, ...)                                                          \
	({                                                                                    \
		static DEFINE_RATELIMIT_STATE(umc_rs_, DEFAULT_RATELIMIT_INTERVAL,            \
					      DEFAULT_RATELIMIT_BURST);                       \
		if (__ratelimit(&umc_rs_))                                                    \
			printk(fmt, ##__VA_ARGS__);                                           \
	})
#define pr_emerg_ratelimited(fmt, ...) printk_ratelimited(KERN_EMERG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_alert_ratelimited(fmt, ...) printk_ratelimited(KERN_ALERT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_crit_ratelimited(fmt, ...) printk_ratelimited(KERN_CRIT pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err_ratelimited(fmt, ...) printk_ratelimited(KERN_ERR pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn_ratelimited(fmt, ...) printk_ratelimited(KERN_WARNING pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice_ratelimited(fmt, ...) printk_ratelimited(KERN_NOTICE pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info_ratelimited(fmt, ...) printk_ratelimited(KERN_INFO pr_fmt(fmt), ##__VA_ARGS__)
#define pr_debug_ratelimited(fmt, ...) \
	UMC_DEBUG_RATELIMITED(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#define pr_devel_ratelimited(fmt, ...) \
	UMC_DEBUG_RATELIMITED(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)

#include <linux/dynamic_debug.h>

enum {
	DUMP_PREFIX_NONE,
	DUMP_PREFIX_ADDRESS,
	DUMP_PREFIX_OFFSET
};

/* The length of the full line, which may be more than fits. */
extern int hex_dump_to_buffer(const void *buf, size_t len, int rowsize, int groupsize,
			      char *linebuf, size_t linebuflen, bool ascii);
extern void print_hex_dump(const char *level, const char *prefix_str, int prefix_type, int rowsize,
			   int groupsize, const void *buf, size_t len, bool ascii);
#define print_hex_dump_bytes(prefix_str, prefix_type, buf, len) \
	print_hex_dump_debug(prefix_str, prefix_type, 16, 1, buf, len, true)
#ifdef DEBUG
#define print_hex_dump_debug(prefix_str, prefix_type, rowsize, groupsize, buf, len, ascii) \
	print_hex_dump(KERN_DEBUG, prefix_str, prefix_type, rowsize, groupsize, buf, len, ascii)
#else
#define print_hex_dump_debug(prefix_str, prefix_type, rowsize, groupsize, buf, len, ascii)    \
	do {                                                                                  \
		if (0)                                                                        \
			print_hex_dump(KERN_DEBUG, prefix_str, prefix_type, rowsize,          \
				       groupsize, buf, len, ascii);                           \
	} while (0)
#endif

#endif
