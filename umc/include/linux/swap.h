/* SPDX-License-Identifier: GPL-2.0-only */
/* Swapping is the host's business; the types of linux/mm.h only (API of Linux 6.12). */
#ifndef UMC_LINUX_SWAP_H
#define UMC_LINUX_SWAP_H

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/memcontrol.h>

#endif
