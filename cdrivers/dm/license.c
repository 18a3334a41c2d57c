// SPDX-License-Identifier: GPL-2.0-only
/* dm-builtin.c is part of the kernel itself on Linux, so it names no licence as modules do. */
#include <linux/module.h>

MODULE_DESCRIPTION("what device-mapper leaves in the kernel");
MODULE_LICENSE("GPL");
