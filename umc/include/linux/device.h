/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices. API of 6.12; no buses, no drivers to bind, no power management. Rust owner: umc/src/fs/device.rs; the variadic
 * parts: umc/glue/kobject.c. */
#ifndef UMC_LINUX_DEVICE_H
#define UMC_LINUX_DEVICE_H

#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/module.h>
#include <linux/err.h>
#include <linux/dev_printk.h>
#include <linux/device/class.h>

struct bus_type;
struct device_driver;

/* umc: shared */
struct device_type {
	const char *name;
	const struct attribute_group **groups;
	void (*release)(struct device *dev);
};

/* No device saves power: what a driver puts here is never called. */
/* umc: shared */
struct dev_pm_info {
	void (*set_latency_tolerance)(struct device *dev, s32 val);
};

/* umc: shared */
struct device {
	struct kobject kobj;
	struct device *parent;
	const char *init_name;
	const struct device_type *type;
	const struct bus_type *bus;
	struct device_driver *driver;
	void *platform_data;
	void *driver_data;
	struct mutex mutex;
	dev_t devt;
	u32 id;
	const struct class *class;
	const struct attribute_group **groups;
	void (*release)(struct device *dev);
	struct dev_pm_info power;
};

/* umc: shared */
struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
	ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *buf, size_t count);
};

#define DEVICE_ATTR(_name, _mode, _show, _store) \
	struct device_attribute dev_attr_ ## _name = __ATTR(_name, _mode, _show, _store)
#define DEVICE_ATTR_RW(_name) struct device_attribute dev_attr_ ## _name = __ATTR_RW(_name)
#define DEVICE_ATTR_RO(_name) struct device_attribute dev_attr_ ## _name = __ATTR_RO(_name)
#define DEVICE_ATTR_WO(_name) struct device_attribute dev_attr_ ## _name = __ATTR_WO(_name)

static inline struct device *kobj_to_dev(const struct kobject *kobj)
{
	return (struct device *)((char *)kobj - __builtin_offsetof(struct device, kobj));
}

static inline const char *dev_name(const struct device *dev)
{
	return dev->init_name ? dev->init_name : kobject_name(&dev->kobj);
}

/* While it is set no events of the device are sent. */
static inline void dev_set_uevent_suppress(struct device *dev, int suppress)
{
	dev->kobj.uevent_suppress = suppress;
}

static inline void *dev_get_drvdata(const struct device *dev)
{
	return dev->driver_data;
}

static inline void dev_set_drvdata(struct device *dev, void *data)
{
	dev->driver_data = data;
}

static inline int dev_to_node(struct device *dev)
{
	return -1;
}

/* May sleep: the last put releases. */
extern struct device *get_device(struct device *dev);
extern void put_device(struct device *dev);

/* May sleep. */
extern int dev_set_name(struct device *dev, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
extern void device_initialize(struct device *dev);
extern int device_add(struct device *dev);
extern void device_del(struct device *dev);
extern int device_register(struct device *dev);
extern void device_unregister(struct device *dev);
extern int device_create_file(struct device *dev, const struct device_attribute *attr);
extern void device_remove_file(struct device *dev, const struct device_attribute *attr);

/* By a store of the attribute: whether it was this one that removed it. May sleep. */
static inline bool device_remove_file_self(struct device *dev, const struct device_attribute *attr)
{
	return sysfs_remove_file_self(&dev->kobj, &attr->attr);
}


/* A device that is freed with its last reference. All may sleep. */
extern struct device *device_create(const struct class *class, struct device *parent, dev_t devt, void *drvdata,
				    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
extern struct device *device_create_with_groups(const struct class *class, struct device *parent, dev_t devt,
						void *drvdata, const struct attribute_group **groups,
						const char *fmt, ...) __attribute__((format(printf, 6, 7)));
extern void device_destroy(const struct class *class, dev_t devt);

#endif
