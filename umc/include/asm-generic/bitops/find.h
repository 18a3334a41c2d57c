/* Searches in bit maps. */
#ifndef UMC_ASM_GENERIC_BITOPS_FIND_H
#define UMC_ASM_GENERIC_BITOPS_FIND_H

#include <linux/find.h>

#endif
