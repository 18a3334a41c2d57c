/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Debug messages that can be switched one by one (API of 6.12, without CONFIG_DYNAMIC_DEBUG: they are off).
 * Rust owner: none.
 */
#ifndef UMC_LINUX_DYNAMIC_DEBUG_H
#define UMC_LINUX_DYNAMIC_DEBUG_H

#include <linux/printk.h>

struct _ddebug;
struct device;

#define DEFINE_DYNAMIC_DEBUG_METADATA(name, fmt)
#define DEFINE_DYNAMIC_DEBUG_METADATA_CLS(name, cls, fmt)
#define DYNAMIC_DEBUG_BRANCH(descriptor) false
#define DYNAMIC_DEBUG_TYPE 0
#define __dynamic_pr_debug(descriptor, fmt, ...) no_printk(fmt, ##__VA_ARGS__)
#define dynamic_pr_debug(fmt, ...) no_printk(KERN_DEBUG pr_fmt(fmt), ##__VA_ARGS__)
#define dynamic_dev_dbg(dev, fmt, ...)                                                        \
	do {                                                                                  \
		(void)(dev);                                                                  \
		no_printk(fmt, ##__VA_ARGS__);                                                \
	} while (0)
#define dynamic_hex_dump(prefix_str, prefix_type, rowsize, groupsize, buf, len, ascii)        \
	do {                                                                                  \
		if (0)                                                                        \
			print_hex_dump(KERN_DEBUG, prefix_str, prefix_type, rowsize,          \
				       groupsize, buf, len, ascii);                           \
	} while (0)

#endif
