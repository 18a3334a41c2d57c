/* SPDX-License-Identifier: GPL-2.0-only */
/* Character devices of one file each: /dev/NAME. API of 6.12; read and write only, no ioctl reaches the driver.
 * Rust owner: umc/src/fs.rs. */
#ifndef UMC_LINUX_MISCDEVICE_H
#define UMC_LINUX_MISCDEVICE_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/fs.h>
#include <linux/device.h>

#define MISC_DYNAMIC_MINOR 255

/* umc: shared */
struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	struct list_head list;
	struct device *parent;
	struct device *this_device;
	const struct attribute_group **groups;
	const char *nodename;
	umode_t mode;
};

/* May sleep. */
extern int misc_register(struct miscdevice *misc);
extern void misc_deregister(struct miscdevice *misc);

#endif
