/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reboot (API of Linux 6.12). Differs: a notifier is never called, since a node unloads its modules before it ends, and
 * what a driver does then it does in its exit function. Not provided: whatever restarts the machine.
 */
#ifndef UMC_LINUX_REBOOT_H
#define UMC_LINUX_REBOOT_H

#include <linux/notifier.h>

static inline int register_reboot_notifier(struct notifier_block *nb)
{
	return 0;
}

static inline int unregister_reboot_notifier(struct notifier_block *nb)
{
	return 0;
}

#endif
