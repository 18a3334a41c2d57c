/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits of the integer types and of names (API of 6.12). */
#ifndef UMC_LINUX_LIMITS_H
#define UMC_LINUX_LIMITS_H

#include <uapi/linux/limits.h>
#include <linux/types.h>

#define SCHAR_MAX ((signed char)0x7f)
#define UCHAR_MAX ((unsigned char)0xff)
#define USHRT_MAX ((unsigned short)0xffff)
#define SHRT_MAX ((short)0x7fff)
#define SHRT_MIN ((short)(-0x7fff - 1))
#define INT_MAX 0x7fffffff
#define INT_MIN (-0x7fffffff - 1)
#define UINT_MAX 0xffffffffU
#define LONG_MAX 0x7fffffffffffffffL
#define LONG_MIN (-0x7fffffffffffffffL - 1)
#define ULONG_MAX 0xffffffffffffffffUL
#define LLONG_MAX 0x7fffffffffffffffLL
#define LLONG_MIN (-0x7fffffffffffffffLL - 1)
#define ULLONG_MAX 0xffffffffffffffffULL
#define UINTPTR_MAX ULONG_MAX

#define SIZE_MAX ULONG_MAX
#define SSIZE_MAX LONG_MAX
#define PHYS_ADDR_MAX ((phys_addr_t)~0ULL)
#define RESOURCE_SIZE_MAX ((resource_size_t)~0ULL)
#define U8_MAX ((u8)0xff)
#define S8_MAX ((s8)0x7f)
#define S8_MIN ((s8)(-0x7f - 1))
#define U16_MAX ((u16)0xffff)
#define S16_MAX ((s16)0x7fff)
#define S16_MIN ((s16)(-0x7fff - 1))
#define U32_MAX ((u32)0xffffffffU)
#define U32_MIN ((u32)0)
#define S32_MAX ((s32)INT_MAX)
#define S32_MIN ((s32)INT_MIN)
#define U64_MAX ((u64)ULLONG_MAX)
#define S64_MAX ((s64)LLONG_MAX)
#define S64_MIN ((s64)LLONG_MIN)

#endif
