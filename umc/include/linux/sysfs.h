/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes of kernel objects. API of 6.12; no binary attributes, no namespaces. After a removal returns, no show or store
 * is running and none will start. Rust owner: umc/src/fs/sysfs.rs; the variadic parts: umc/glue/kobject.c. */
#ifndef UMC_LINUX_SYSFS_H
#define UMC_LINUX_SYSFS_H

#include <linux/kernfs.h>
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/stringify.h>
#include <linux/stat.h>

struct kobject;
struct module;

/* umc: shared */
struct attribute {
	const char *name;
	umode_t mode;
};

/* umc: shared */
struct attribute_group {
	const char *name;
	umode_t (*is_visible)(struct kobject *kobj, struct attribute *attr, int index);
	struct attribute **attrs;
};

/* umc: shared */
struct sysfs_ops {
	ssize_t (*show)(struct kobject *kobj, struct attribute *attr, char *buf);
	ssize_t (*store)(struct kobject *kobj, struct attribute *attr, const char *buf, size_t count);
};

#define sysfs_attr_init(attr) do { } while (0)

#define __ATTR(_name, _mode, _show, _store) {				\
	.attr = { .name = __stringify(_name), .mode = (_mode) },	\
	.show = _show,							\
	.store = _store,						\
}
#define __ATTR_RO_MODE(_name, _mode) {					\
	.attr = { .name = __stringify(_name), .mode = (_mode) },	\
	.show = _name ## _show,						\
}
#define __ATTR_RO(_name)	__ATTR_RO_MODE(_name, 0444)
#define __ATTR_RW_MODE(_name, _mode)	__ATTR(_name, _mode, _name ## _show, _name ## _store)
#define __ATTR_RW(_name)	__ATTR(_name, 0644, _name ## _show, _name ## _store)
#define __ATTR_WO(_name) {						\
	.attr = { .name = __stringify(_name), .mode = 0200 },		\
	.store = _name ## _store,					\
}
#define __ATTR_NULL		{ .attr = { .name = NULL } }

#define __ATTRIBUTE_GROUPS(_name)				\
static const struct attribute_group *_name ## _groups[] = {	\
	&_name ## _group,					\
	NULL,							\
}
#define ATTRIBUTE_GROUPS(_name)					\
static const struct attribute_group _name ## _group = {		\
	.attrs = _name ## _attrs,				\
};								\
__ATTRIBUTE_GROUPS(_name)

/* The text of an attribute is made anew for each read, wherever its memory comes from. */
#define __ATTR_PREALLOC(_name, _mode, _show, _store) __ATTR(_name, _mode, _show, _store)

/* Any context. The node of a file or group below another; a reference, for sysfs_put(). NULL when there is none. */
extern struct kernfs_node *sysfs_get_dirent(struct kernfs_node *parent, const char *name);
extern void sysfs_put(struct kernfs_node *node);

/* Any context. Who polls the file hears of it. */
extern void sysfs_notify_dirent(struct kernfs_node *node);
extern void sysfs_notify(struct kobject *kobj, const char *dir, const char *attr);

/* In a store: from here on its own attribute may be removed, until the other call. */
extern struct kernfs_node *sysfs_break_active_protection(struct kobject *kobj, const struct attribute *attr);
extern void sysfs_unbreak_active_protection(struct kernfs_node *node);
extern bool sysfs_remove_file_self(struct kobject *kobj, const struct attribute *attr); /* may sleep */

/* All may sleep. */
extern int sysfs_create_file_ns(struct kobject *kobj, const struct attribute *attr, const void *ns);
extern void sysfs_remove_file_ns(struct kobject *kobj, const struct attribute *attr, const void *ns);
extern int sysfs_create_files(struct kobject *kobj, const struct attribute *const *attrs);
extern void sysfs_remove_files(struct kobject *kobj, const struct attribute *const *attrs);
extern int sysfs_create_link(struct kobject *kobj, struct kobject *target, const char *name);
extern void sysfs_remove_link(struct kobject *kobj, const char *name);
extern int sysfs_create_group(struct kobject *kobj, const struct attribute_group *group);
extern int sysfs_create_groups(struct kobject *kobj, const struct attribute_group **groups);
extern void sysfs_remove_group(struct kobject *kobj, const struct attribute_group *group);
extern void sysfs_remove_groups(struct kobject *kobj, const struct attribute_group **groups);

static inline int sysfs_create_file(struct kobject *kobj, const struct attribute *attr)
{
	return sysfs_create_file_ns(kobj, attr, NULL);
}

static inline void sysfs_remove_file(struct kobject *kobj, const struct attribute *attr)
{
	sysfs_remove_file_ns(kobj, attr, NULL);
}

/* Any context. */
extern int sysfs_emit(char *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
extern int sysfs_emit_at(char *buf, int at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
extern bool sysfs_streq(const char *s1, const char *s2);

#endif
