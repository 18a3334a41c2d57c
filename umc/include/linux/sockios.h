/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Socket ioctl numbers (API of 6.12): the kernel-side name of the uapi header.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_SOCKIOS_H
#define UMC_LINUX_SOCKIOS_H

#include <uapi/linux/sockios.h>

#endif
