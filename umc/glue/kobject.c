/* SPDX-License-Identifier: GPL-2.0-only */
/* The variadic parts of linux/kobject.h, linux/sysfs.h, linux/device.h and linux/dev_printk.h: formatting, then Rust. */

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

#define NAME_MAX_LEN	512
#define ATTRIBUTE_LEN	4096
#define MESSAGE_LEN	1024

struct kobject;
struct kobj_type;
struct kobj_uevent_env;
struct device;
struct class;
struct attribute_group;

extern int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
extern int _printk(const char *fmt, ...);
/* umc/src/fs/kobject.rs, umc/src/fs/device.rs */
extern int umc_kobject_set_name(struct kobject *kobj, const char *name);
extern int umc_kobject_add(struct kobject *kobj, struct kobject *parent);
extern int umc_add_uevent_var(struct kobj_uevent_env *env, const char *text);
extern void kobject_init(struct kobject *kobj, const struct kobj_type *ktype);
extern struct kobject *umc_device_kobj(struct device *dev);
extern struct device *umc_device_create(const struct class *class, struct device *parent, unsigned int devt,
					void *drvdata, const struct attribute_group **groups, const char *name);
extern const char *umc_device_name(const struct device *dev);

int kobject_set_name_vargs(struct kobject *kobj, const char *fmt, va_list args)
{
	char name[NAME_MAX_LEN];

	umc_vsnprintf(name, sizeof(name), fmt, args);
	return umc_kobject_set_name(kobj, name);
}

int kobject_set_name(struct kobject *kobj, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = kobject_set_name_vargs(kobj, fmt, args);
	va_end(args);
	return ret;
}

int kobject_add(struct kobject *kobj, struct kobject *parent, const char *fmt, ...)
{
	va_list args;
	int ret;

	if (!kobj)
		return -EINVAL;
	va_start(args, fmt);
	ret = kobject_set_name_vargs(kobj, fmt, args);
	va_end(args);
	return ret ? ret : umc_kobject_add(kobj, parent);
}

int kobject_init_and_add(struct kobject *kobj, const struct kobj_type *ktype, struct kobject *parent,
			 const char *fmt, ...)
{
	va_list args;
	int ret;

	kobject_init(kobj, ktype);
	va_start(args, fmt);
	ret = kobject_set_name_vargs(kobj, fmt, args);
	va_end(args);
	return ret ? ret : umc_kobject_add(kobj, parent);
}

int add_uevent_var(struct kobj_uevent_env *env, const char *fmt, ...)
{
	char text[NAME_MAX_LEN * 2];
	va_list args;

	va_start(args, fmt);
	umc_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return umc_add_uevent_var(env, text);
}

int dev_set_name(struct device *dev, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = kobject_set_name_vargs(umc_device_kobj(dev), fmt, args);
	va_end(args);
	return ret;
}

struct device *device_create(const struct class *class, struct device *parent, unsigned int devt, void *drvdata,
			     const char *fmt, ...)
{
	char name[NAME_MAX_LEN];
	va_list args;

	va_start(args, fmt);
	umc_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return umc_device_create(class, parent, devt, drvdata, NULL, name);
}

struct device *device_create_with_groups(const struct class *class, struct device *parent, unsigned int devt,
					 void *drvdata, const struct attribute_group **groups, const char *fmt, ...)
{
	char name[NAME_MAX_LEN];
	va_list args;

	va_start(args, fmt);
	umc_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return umc_device_create(class, parent, devt, drvdata, groups, name);
}

int sysfs_emit(char *buf, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = umc_vsnprintf(buf, ATTRIBUTE_LEN, fmt, args);
	va_end(args);
	return len < ATTRIBUTE_LEN ? len : ATTRIBUTE_LEN - 1;
}

int sysfs_emit_at(char *buf, int at, const char *fmt, ...)
{
	va_list args;
	int len;

	if (at < 0 || at >= ATTRIBUTE_LEN)
		return 0;
	va_start(args, fmt);
	len = umc_vsnprintf(buf + at, (size_t)(ATTRIBUTE_LEN - at), fmt, args);
	va_end(args);
	return len < ATTRIBUTE_LEN - at ? len : ATTRIBUTE_LEN - at - 1;
}

void _dev_printk(const char *level, const struct device *dev, const char *fmt, ...)
{
	char text[MESSAGE_LEN];
	va_list args;

	va_start(args, fmt);
	umc_vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	_printk("%s%s: %s", level, umc_device_name(dev), text);
}
