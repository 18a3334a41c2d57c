/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a kernel (API of 6.12).
 * Rust owner: `bug.rs`; the variadic functions are in glue/printf.c.
 */
#ifndef UMC_LINUX_PANIC_H
#define UMC_LINUX_PANIC_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>

/* Prints the message, the backtrace and the end of the log, and ends the process. Any context. */
extern void panic(const char *fmt, ...) __noreturn __cold __printf(1, 2);

enum lockdep_ok {
	LOCKDEP_STILL_OK,
	LOCKDEP_NOW_UNRELIABLE,
};

#define TAINT_PROPRIETARY_MODULE 0
#define TAINT_FORCED_MODULE 1
#define TAINT_CPU_OUT_OF_SPEC 2
#define TAINT_FORCED_RMMOD 3
#define TAINT_MACHINE_CHECK 4
#define TAINT_BAD_PAGE 5
#define TAINT_USER 6
#define TAINT_DIE 7
#define TAINT_WARN 9
#define TAINT_CRAP 10
#define TAINT_OOT_MODULE 12
#define TAINT_TEST 18

#endif
