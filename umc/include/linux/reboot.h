/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reboot (API of Linux 6.12): for drivers that include it and use nothing of it. Not provided: reboot notifiers, since
 * a node unloads its modules before it ends, and whatever restarts the machine.
 */
#ifndef UMC_LINUX_REBOOT_H
#define UMC_LINUX_REBOOT_H

#include <linux/notifier.h>

#endif
