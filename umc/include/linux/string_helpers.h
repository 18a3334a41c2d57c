/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * More on strings (API of 6.12).
 * Rust owner: `string.rs`.
 */
#ifndef UMC_LINUX_STRING_HELPERS_H
#define UMC_LINUX_STRING_HELPERS_H

#include <linux/bits.h>
#include <linux/ctype.h>
#include <linux/string_choices.h>
#include <linux/string.h>
#include <linux/types.h>

enum string_size_units {
	STRING_UNITS_10,
	STRING_UNITS_2,
	STRING_UNITS_MASK = BIT(0),
	STRING_UNITS_NO_SPACE = BIT(30),
	STRING_UNITS_NO_BYTES = BIT(31),
};

/* "1.50 GiB" of `size` blocks; the length of the whole text. */
extern int string_get_size(u64 size, u64 blk_size, const enum string_size_units units, char *buf,
			   int len);

static inline bool string_is_terminated(const char *s, int len)
{
	return strnlen(s, len) < (size_t)len;
}

static inline void string_upper(char *dst, const char *src)
{
	do {
		*dst++ = toupper(*src);
	} while (*src++);
}

static inline void string_lower(char *dst, const char *src)
{
	do {
		*dst++ = tolower(*src);
	} while (*src++);
}

#endif
