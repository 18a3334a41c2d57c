/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Formatted text, with the kernel's %p extensions (API of 6.12).
 * Rust owner: `string.rs`; the functions are in glue/printf.c.
 */
#ifndef UMC_LINUX_SPRINTF_H
#define UMC_LINUX_SPRINTF_H

#include <linux/compiler_attributes.h>
#include <linux/types.h>
#include <linux/stdarg.h>

/* libc has the same names and other extensions, so ours bear a prefix in the object files. */
extern int sprintf(char *buf, const char *fmt, ...) __asm__("umc_sprintf") __printf(2, 3);
extern int vsprintf(char *buf, const char *fmt, va_list args) __asm__("umc_vsprintf") __printf(2, 0);
extern int snprintf(char *buf, size_t size, const char *fmt, ...)
	__asm__("umc_snprintf") __printf(3, 4);
extern int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
	__asm__("umc_vsnprintf") __printf(3, 0);
/* The number of bytes that are in the buffer, not that of the whole text. */
extern int scnprintf(char *buf, size_t size, const char *fmt, ...)
	__asm__("umc_scnprintf") __printf(3, 4);
extern int vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
	__asm__("umc_vscnprintf") __printf(3, 0);
extern char *kasprintf(gfp_t gfp, const char *fmt, ...) __malloc __printf(2, 3);
extern char *kvasprintf(gfp_t gfp, const char *fmt, va_list args) __malloc __printf(2, 0);
extern const char *kvasprintf_const(gfp_t gfp, const char *fmt, va_list args) __printf(2, 0);

/* libc's. */
extern int sscanf(const char *buf, const char *fmt, ...) __scanf(2, 3);
extern int vsscanf(const char *buf, const char *fmt, va_list args) __scanf(2, 0);

extern int num_to_str(char *buf, int size, unsigned long long num, unsigned int width);

#endif
