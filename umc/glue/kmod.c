/* SPDX-License-Identifier: GPL-2.0-only */
/* The variadic part of linux/kmod.h: formatting, then Rust. */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* MODULE_NAME_LEN: a longer name is nobody's. */
#define NAME_MAX_LEN	56

extern int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
/* umc/src/module/request.rs */
extern int umc_request_module(const char *name, const void *caller);

int __request_module(bool wait, const char *fmt, ...)
{
	char name[NAME_MAX_LEN];
	va_list args;
	int len;

	(void)wait;
	va_start(args, fmt);
	len = umc_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	if (len >= (int)sizeof(name))
		return -ENAMETOOLONG;
	return umc_request_module(name, __builtin_return_address(0));
}
