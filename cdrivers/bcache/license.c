// SPDX-License-Identifier: GPL-2.0-only
/* lib/closure.c is part of the kernel itself on Linux, so it names no licence as modules do. */
#include <linux/module.h>

MODULE_DESCRIPTION("asynchronous reference counts");
MODULE_LICENSE("GPL");
