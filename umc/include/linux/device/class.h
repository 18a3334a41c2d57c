/* SPDX-License-Identifier: GPL-2.0-only */
/* Classes of devices. API of 6.12; a class is a directory /sys/class/NAME. Rust owner: umc/src/fs/device.rs. */
#ifndef UMC_LINUX_DEVICE_CLASS_H
#define UMC_LINUX_DEVICE_CLASS_H

#include <linux/types.h>
#include <linux/kobject.h>

struct device;

/* umc: shared */
struct class {
	const char *name;
	const struct attribute_group **class_groups;
	const struct attribute_group **dev_groups;
	int (*dev_uevent)(const struct device *dev, struct kobj_uevent_env *env);
	char *(*devnode)(const struct device *dev, umode_t *mode);
	void (*class_release)(const struct class *class);
	void (*dev_release)(struct device *dev);
};

/* All may sleep. */
extern int class_register(const struct class *class);
extern void class_unregister(const struct class *class);
extern struct class *class_create(const char *name);
extern void class_destroy(const struct class *class);

#endif
