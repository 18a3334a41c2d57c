/* SPDX-License-Identifier: GPL-2.0-only */
/* System call numbers. */
#ifndef UMC_LINUX_UNISTD_H
#define UMC_LINUX_UNISTD_H

#include <uapi/linux/unistd.h>

#endif
