/* SPDX-License-Identifier: GPL-2.0-only */
/* Classes of characters, for ASCII (API of 6.12). */
#ifndef UMC_LINUX_CTYPE_H
#define UMC_LINUX_CTYPE_H

#include <linux/compiler.h>
#include <linux/types.h>

#define UMC_CTYPE(name, condition)                                                            \
	static __always_inline int name(int c)                                                 \
	{                                                                                     \
		return (condition) ? 1 : 0;                                                   \
	}

UMC_CTYPE(isdigit, c >= '0' && c <= '9')
UMC_CTYPE(isodigit, c >= '0' && c <= '7')
UMC_CTYPE(islower, c >= 'a' && c <= 'z')
UMC_CTYPE(isupper, c >= 'A' && c <= 'Z')
UMC_CTYPE(isalpha, islower(c) || isupper(c))
UMC_CTYPE(isalnum, isalpha(c) || isdigit(c))
UMC_CTYPE(isxdigit, isdigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
UMC_CTYPE(isspace, c == ' ' || (c >= '\t' && c <= '\r') || (c & 0xff) == 0xa0)
UMC_CTYPE(iscntrl, (c >= 0 && c < 0x20) || c == 0x7f)
UMC_CTYPE(isgraph, c > 0x20 && c < 0x7f)
UMC_CTYPE(isprint, c >= 0x20 && c < 0x7f)
UMC_CTYPE(ispunct, isgraph(c) && !isalnum(c))

#define isascii(c) (((unsigned char)(c)) <= 0x7f)
#define toascii(c) (((unsigned char)(c)) & 0x7f)

static inline unsigned char __tolower(unsigned char c)
{
	return isupper(c) ? c + ('a' - 'A') : c;
}

static inline unsigned char __toupper(unsigned char c)
{
	return islower(c) ? c - ('a' - 'A') : c;
}

#define tolower(c) __tolower(c)
#define toupper(c) __toupper(c)

static inline char _tolower(const char c)
{
	return c | 0x20;
}

#endif
