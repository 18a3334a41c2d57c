/* SPDX-License-Identifier: GPL-2.0-only */
/* A node never suspends: there is nothing to be told of (API of Linux 6.12). */
#ifndef UMC_LINUX_SUSPEND_H
#define UMC_LINUX_SUSPEND_H

#include <linux/swap.h>
#include <linux/notifier.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/freezer.h>

#endif
