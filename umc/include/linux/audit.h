/* SPDX-License-Identifier: GPL-2.0-only */
/* The audit log: switched off (CONFIG_AUDIT), so nothing is said to it. API of 6.12. */
#ifndef UMC_LINUX_AUDIT_H
#define UMC_LINUX_AUDIT_H

#include <linux/types.h>

#endif
