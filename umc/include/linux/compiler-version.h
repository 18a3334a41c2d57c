/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Force-included by Kbuild before every compile; Linux uses it to rebuild when the compiler changes.
 * Here Kbuild's own command line check is enough, so the header holds nothing.
 */
#ifndef UMC_LINUX_COMPILER_VERSION_H
#define UMC_LINUX_COMPILER_VERSION_H

#endif
