/* SPDX-License-Identifier: GPL-2.0-only */
/* Character devices by their numbers. API of 6.12; a file of one is opened through the redirector or, for reading and
 * writing only, as a file of the tree. Rust owner: umc/src/fs/chrdev.rs. */
#ifndef UMC_LINUX_CDEV_H
#define UMC_LINUX_CDEV_H

#include <linux/types.h>
#include <linux/kobject.h>
#include <linux/kdev_t.h>
#include <linux/list.h>
#include <linux/device.h>

struct file_operations;
struct inode;
struct module;

/* umc: shared */
struct cdev {
	struct kobject kobj;
	struct module *owner;
	const struct file_operations *ops;
	struct list_head list;
	dev_t dev;
	unsigned int count;
};

extern void cdev_init(struct cdev *cdev, const struct file_operations *fops);

/* All may sleep. */
extern struct cdev *cdev_alloc(void);
extern void cdev_put(struct cdev *cdev);
extern int cdev_add(struct cdev *cdev, dev_t dev, unsigned int count);
extern void cdev_del(struct cdev *cdev);
extern void cdev_set_parent(struct cdev *cdev, struct kobject *kobj);
extern int cdev_device_add(struct cdev *cdev, struct device *dev);
extern void cdev_device_del(struct cdev *cdev, struct device *dev);

#endif
