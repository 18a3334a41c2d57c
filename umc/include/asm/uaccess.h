/* SPDX-License-Identifier: GPL-2.0-only */
/* Access to the caller's memory: everything is in linux/uaccess.h (API of Linux 6.12). */
#ifndef UMC_ASM_UACCESS_H
#define UMC_ASM_UACCESS_H

#include <linux/uaccess.h>

#endif
