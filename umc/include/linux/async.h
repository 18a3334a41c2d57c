/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls in the background at boot: none is made by a driver known here; raid456 only includes the file. API of 6.12. */
#ifndef UMC_LINUX_ASYNC_H
#define UMC_LINUX_ASYNC_H

#include <linux/types.h>

#endif
