/* SPDX-License-Identifier: GPL-2.0-only */
/* The variadic part of linux/configfs.h: formatting, then Rust. */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

/* A directory has a name of at most 255 bytes. */
#define NAME_MAX_LEN	256

struct config_item;

extern int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
/* umc/src/fs/configfs/item.rs */
extern int umc_config_item_set_name(struct config_item *item, const char *name);

int config_item_set_name(struct config_item *item, const char *fmt, ...)
{
	char name[NAME_MAX_LEN];
	va_list args;
	int len;

	va_start(args, fmt);
	len = umc_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return len < (int)sizeof(name) ? umc_config_item_set_name(item, name) : -ENAMETOOLONG;
}
