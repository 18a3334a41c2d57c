/* SPDX-License-Identifier: GPL-2.0-only */
/* Integer types by width, as user space sees them. */
#ifndef UMC_UAPI_ASM_GENERIC_INT_LL64_H
#define UMC_UAPI_ASM_GENERIC_INT_LL64_H

#include <asm/bitsperlong.h>

#ifndef __ASSEMBLY__
typedef signed char __s8;
typedef unsigned char __u8;
typedef signed short __s16;
typedef unsigned short __u16;
typedef signed int __s32;
typedef unsigned int __u32;
typedef signed long long __s64;
typedef unsigned long long __u64;
#endif

#endif
