/* SPDX-License-Identifier: GPL-2.0-only */
/* Values that show use after removal or free (API of 6.12). */
#ifndef UMC_LINUX_POISON_H
#define UMC_LINUX_POISON_H

#define POISON_POINTER_DELTA 0xdead000000000000UL
/* Not canonical addresses: following one is a fault. */
#define LIST_POISON1 ((void *)(0x100 + POISON_POINTER_DELTA))
#define LIST_POISON2 ((void *)(0x122 + POISON_POINTER_DELTA))
#define TIMER_ENTRY_STATIC ((void *)(0x300 + POISON_POINTER_DELTA))
#define POISON_INUSE 0x5a
#define POISON_FREE 0x6b
#define POISON_END 0xa5

#endif
