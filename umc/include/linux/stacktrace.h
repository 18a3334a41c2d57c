/* SPDX-License-Identifier: GPL-2.0-only */
/* Traces of stacks, for drivers that keep some. API of 6.12; not provided, as without CONFIG_STACKTRACE. */
#ifndef UMC_LINUX_STACKTRACE_H
#define UMC_LINUX_STACKTRACE_H

#include <linux/types.h>

#endif
