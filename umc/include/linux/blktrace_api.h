/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces of the block layer. API of Linux 6.12.
 * Differs: there are none; the tracepoints that would use them are never on (linux/tracepoint.h).
 */
#ifndef UMC_LINUX_BLKTRACE_API_H
#define UMC_LINUX_BLKTRACE_API_H

#include <linux/blkdev.h>

#endif
