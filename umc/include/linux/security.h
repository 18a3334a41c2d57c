/* SPDX-License-Identifier: GPL-2.0-only */
/* Security modules (API of Linux 6.12): there are none, so nothing of it is provided. */
#ifndef UMC_LINUX_SECURITY_H
#define UMC_LINUX_SECURITY_H

#include <linux/key.h>
#include <linux/capability.h>
#include <linux/types.h>
#include <linux/err.h>

#endif
