/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The API level: Linux 6.12.117. Drivers for other levels are not supported, so nothing else in these headers
 * depends on it.
 */
#ifndef UMC_LINUX_VERSION_H
#define UMC_LINUX_VERSION_H

#define LINUX_VERSION_MAJOR 6
#define LINUX_VERSION_PATCHLEVEL 12
#define LINUX_VERSION_SUBLEVEL 117
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE \
	KERNEL_VERSION(LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL, LINUX_VERSION_SUBLEVEL)

#endif
