/* SPDX-License-Identifier: GPL-2.0-only */
/* System call numbers. */
#ifndef UMC_UAPI_LINUX_UNISTD_H
#define UMC_UAPI_LINUX_UNISTD_H

#include <asm/unistd.h>

#endif
