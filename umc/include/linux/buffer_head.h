/* SPDX-License-Identifier: GPL-2.0-only */
/* Blocks of a file in the page cache: none are here. For drivers that include it; their use of files needs options that are
 * switched off. API of 6.12. */
#ifndef UMC_LINUX_BUFFER_HEAD_H
#define UMC_LINUX_BUFFER_HEAD_H

#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

struct buffer_head;

#endif
