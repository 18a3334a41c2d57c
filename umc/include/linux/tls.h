/* SPDX-License-Identifier: GPL-2.0-only */
/* The same header for the kernel's own code. */
#ifndef UMC_LINUX_TLS_H
#define UMC_LINUX_TLS_H

#include <uapi/linux/tls.h>

#endif
