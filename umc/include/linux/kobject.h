/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel objects and their directories under /sys. API of 6.12; no namespaces. A uevent becomes a debug line of the
 * kernel log. Rust owner: umc/src/fs/kobject.rs; the variadic parts: umc/glue/kobject.c. */
#ifndef UMC_LINUX_KOBJECT_H
#define UMC_LINUX_KOBJECT_H

#include <linux/types.h>
#include <linux/stdarg.h>
#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/sysfs.h>
#include <linux/spinlock.h>
#include <linux/kref.h>

#define UEVENT_NUM_ENVP		64
#define UEVENT_BUFFER_SIZE	2048

struct kobject;
struct kset;
/* umc: handle */
struct kernfs_node;

enum kobject_action {
	KOBJ_ADD,
	KOBJ_REMOVE,
	KOBJ_CHANGE,
	KOBJ_MOVE,
	KOBJ_ONLINE,
	KOBJ_OFFLINE,
	KOBJ_BIND,
	KOBJ_UNBIND,
};

/* umc: shared */
struct kobject {
	const char *name;
	struct list_head entry;
	struct kobject *parent;
	struct kset *kset;
	const struct kobj_type *ktype;
	struct kernfs_node *sd;
	struct kref kref;
	unsigned int state_initialized:1;
	unsigned int state_in_sysfs:1;
	unsigned int state_add_uevent_sent:1;
	unsigned int state_remove_uevent_sent:1;
	unsigned int uevent_suppress:1;
};

/* umc: shared */
struct kobj_type {
	void (*release)(struct kobject *kobj);
	const struct sysfs_ops *sysfs_ops;
	const struct attribute_group **default_groups;
};

/* umc: shared */
struct kobj_attribute {
	struct attribute attr;
	ssize_t (*show)(struct kobject *kobj, struct kobj_attribute *attr, char *buf);
	ssize_t (*store)(struct kobject *kobj, struct kobj_attribute *attr, const char *buf, size_t count);
};

/* umc: shared */
struct kobj_uevent_env {
	char *argv[3];
	char *envp[UEVENT_NUM_ENVP];
	int envp_idx;
	char buf[UEVENT_BUFFER_SIZE];
	int buflen;
};

/* umc: shared */
struct kset_uevent_ops {
	int (*filter)(const struct kobject *kobj);
	const char *(*name)(const struct kobject *kobj);
	int (*uevent)(const struct kobject *kobj, struct kobj_uevent_env *env);
};

/* umc: shared */
struct kset {
	struct list_head list;
	spinlock_t list_lock;
	struct kobject kobj;
	const struct kset_uevent_ops *uevent_ops;
};

static inline const char *kobject_name(const struct kobject *kobj)
{
	return kobj->name;
}

/* Any context. */
extern void kobject_init(struct kobject *kobj, const struct kobj_type *ktype);
extern struct kobject *kobject_get(struct kobject *kobj);
extern struct kobject *kobject_get_unless_zero(struct kobject *kobj);

/* May sleep. */
extern int kobject_set_name(struct kobject *kobj, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
extern int kobject_set_name_vargs(struct kobject *kobj, const char *fmt, va_list args);
extern int kobject_add(struct kobject *kobj, struct kobject *parent, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
extern int kobject_init_and_add(struct kobject *kobj, const struct kobj_type *ktype, struct kobject *parent,
				const char *fmt, ...) __attribute__((format(printf, 4, 5)));
extern void kobject_del(struct kobject *kobj);
extern void kobject_put(struct kobject *kobj);
extern struct kobject *kobject_create_and_add(const char *name, struct kobject *parent);
extern char *kobject_get_path(const struct kobject *kobj, gfp_t gfp);
extern int kobject_uevent(struct kobject *kobj, enum kobject_action action);
extern int kobject_uevent_env(struct kobject *kobj, enum kobject_action action, char *envp[]);
extern int add_uevent_var(struct kobj_uevent_env *env, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

extern const struct sysfs_ops kobj_sysfs_ops;

/* The object behind /sys/kernel. */
extern struct kobject *umc_kernel_kobj(void);
#define kernel_kobj umc_kernel_kobj()
extern struct kobject *umc_fs_kobj(void);
#define fs_kobj umc_fs_kobj()

#endif
