/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the system. */
#ifndef UMC_UAPI_LINUX_UTSNAME_H
#define UMC_UAPI_LINUX_UTSNAME_H

#include <linux/utsname.h>

#endif
