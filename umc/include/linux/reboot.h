/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reboot (API of Linux 6.12): names only. A driver that registers a reboot notifier or calls for a restart is refused
 * at insmod, where the missing function is named.
 */
#ifndef UMC_LINUX_REBOOT_H
#define UMC_LINUX_REBOOT_H

#include <linux/notifier.h>

enum reboot_mode {
	REBOOT_UNDEFINED = -1,
	REBOOT_COLD = 0,
	REBOOT_WARM,
	REBOOT_HARD,
	REBOOT_SOFT,
	REBOOT_GPIO,
};

int register_reboot_notifier(struct notifier_block *nb);
int unregister_reboot_notifier(struct notifier_block *nb);
void emergency_restart(void);
void orderly_poweroff(bool force);
void orderly_reboot(void);

#endif
