/* SPDX-License-Identifier: GPL-2.0-only */
/* Major numbers of devices. */
#ifndef UMC_LINUX_MAJOR_H
#define UMC_LINUX_MAJOR_H

#include <uapi/linux/major.h>

#endif
