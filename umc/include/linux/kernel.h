/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What most kernel code uses (API of 6.12).
 * Rust owner: `context.rs` for might_sleep(), the included headers say theirs.
 */
#ifndef UMC_LINUX_KERNEL_H
#define UMC_LINUX_KERNEL_H

#include <linux/stdarg.h>
#include <linux/align.h>
#include <linux/array_size.h>
#include <linux/limits.h>
#include <linux/linkage.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/bitops.h>
#include <linux/hex.h>
#include <linux/kstrtox.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/typecheck.h>
#include <linux/panic.h>
#include <linux/printk.h>
#include <linux/build_bug.h>
#include <linux/sprintf.h>
#include <linux/instruction_pointer.h>
#include <linux/wordpart.h>
#include <asm/byteorder.h>
#include <uapi/linux/kernel.h>

#define READ 0
#define WRITE 1
#define STACK_MAGIC 0xdeadbeef
#define PTR_IF(condition, ptr) ((condition) ? (ptr) : NULL)
#define u64_to_user_ptr(x) ((void __user *)(uintptr_t)(x))

/* Reports a caller that must not sleep. Any context. */
extern void __might_sleep(const char *file, int line);
#define might_sleep() __might_sleep(__FILE__, __LINE__)
#define might_sleep_if(condition) do { if (condition) might_sleep(); } while (0)
#define might_resched() might_sleep()
#define might_fault() might_sleep()
#define cant_sleep() do { } while (0)
#define cant_migrate() do { } while (0)
#define non_block_start() do { } while (0)
#define non_block_end() do { } while (0)

/* Tracing is not part of this kernel: the text goes to the log at debug level. */
#define trace_printk(fmt, ...) printk(KERN_DEBUG fmt, ##__VA_ARGS__)

enum system_states {
	SYSTEM_BOOTING,
	SYSTEM_SCHEDULING,
	SYSTEM_FREEING_INITMEM,
	SYSTEM_RUNNING,
	SYSTEM_HALT,
	SYSTEM_POWER_OFF,
	SYSTEM_RESTART,
	SYSTEM_SUSPEND,
};
#define system_state SYSTEM_RUNNING
#define oops_in_progress 0

/*
 * Modes of files in sysfs: nobody else writes, and who may read or write on one side of the three digits may on the side
 * before it: each bit of 0064 has its fellow three places up.
 */
#define UMC_IS_SYSFS_MODE(perms) \
	(!((perms) & ~0775) && !((perms) & 0064 & ~((perms) >> 3)))
#define VERIFY_OCTAL_PERMISSIONS(perms) ((perms) + BUILD_BUG_ON_ZERO(!UMC_IS_SYSFS_MODE(perms)))

#endif
