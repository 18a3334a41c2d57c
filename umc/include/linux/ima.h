/* SPDX-License-Identifier: GPL-2.0-only */
/* Measurement of what a kernel runs: switched off, as where a kernel has no CONFIG_IMA. API of 6.12. */
#ifndef UMC_LINUX_IMA_H
#define UMC_LINUX_IMA_H

#include <linux/fs.h>
#include <linux/poll.h>

#endif
