/* SPDX-License-Identifier: GPL-2.0-only */
/* Width of a long: every supported host has 64 bits. */
#ifndef UMC_ASM_GENERIC_BITSPERLONG_H
#define UMC_ASM_GENERIC_BITSPERLONG_H

#define __BITS_PER_LONG 64
#define BITS_PER_LONG 64
#ifndef BITS_PER_LONG_LONG
#define BITS_PER_LONG_LONG 64
#endif
#define small_const_nbits(nbits)                                                              \
	(__builtin_constant_p(nbits) && (nbits) <= BITS_PER_LONG && (nbits) > 0)

#endif
