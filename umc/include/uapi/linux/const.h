/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants with a type in C and without one in assembly. */
#ifndef UMC_UAPI_LINUX_CONST_H
#define UMC_UAPI_LINUX_CONST_H

#ifdef __ASSEMBLY__
#define _AC(x, suffix) x
#define _AT(type, x) x
#else
#define __AC(x, suffix) (x##suffix)
#define _AC(x, suffix) __AC(x, suffix)
#define _AT(type, x) ((type)(x))
#endif

#define _UL(x) (_AC(x, UL))
#define _ULL(x) (_AC(x, ULL))
#define _BITUL(n) (_UL(1) << (n))
#define _BITULL(n) (_ULL(1) << (n))

#define __ALIGN_KERNEL_MASK(x, mask) (((x) + (mask)) & ~(mask))
#define __ALIGN_KERNEL(x, a) __ALIGN_KERNEL_MASK(x, (__typeof__(x))(a) - 1)
#define __KERNEL_DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))

#endif
