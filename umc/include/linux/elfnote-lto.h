/* SPDX-License-Identifier: GPL-2.0-only */
/* The note about link-time optimisation: none (as Linux 6.12 without CONFIG_LTO). */
#ifndef UMC_LINUX_ELFNOTE_LTO_H
#define UMC_LINUX_ELFNOTE_LTO_H

#define BUILD_LTO_INFO

#endif
