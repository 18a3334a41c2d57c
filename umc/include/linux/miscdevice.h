/* SPDX-License-Identifier: GPL-2.0-only */
/* Character devices of one file each: /dev/NAME. API of 6.12. Rust owner: umc/src/fs/miscdevice.rs. */
#ifndef UMC_LINUX_MISCDEVICE_H
#define UMC_LINUX_MISCDEVICE_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/fs.h>
#include <linux/device.h>
#include <linux/major.h>
#include <linux/stringify.h>

#define BTRFS_MINOR		234
#define MAPPER_CTRL_MINOR	236
#define LOOP_CTRL_MINOR		237
#define MISC_DYNAMIC_MINOR	255

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

#define MODULE_ALIAS_MISCDEV(minor) \
	MODULE_ALIAS("char-major-" __stringify(MISC_MAJOR) "-" __stringify(minor))

#endif
