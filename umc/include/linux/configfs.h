/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects that a process makes and removes: the directories under /sys/kernel/config. API of 6.12, without binary
 * attributes and without groups that a driver adds later (configfs_register_group): a type with the former is refused, the
 * latter are not provided. Rust owner: umc/src/fs/configfs.rs; the variadic part: umc/glue/configfs.c. */
#ifndef UMC_LINUX_CONFIGFS_H
#define UMC_LINUX_CONFIGFS_H

#include <linux/stat.h>
#include <linux/types.h>
#include <linux/list.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/stringify.h>
#include <linux/container_of.h>

#define CONFIGFS_ITEM_NAME_LEN	20

struct module;
struct config_group;
struct config_item_type;
struct configfs_bin_attribute;
struct configfs_subsystem;

/* umc: shared. A name that fits stands in ci_namebuf. ci_dentry is the directory (umc/src/fs/configfs/dir.rs). */
struct config_item {
	char *ci_name;
	char ci_namebuf[CONFIGFS_ITEM_NAME_LEN];
	struct kref ci_kref;
	struct list_head ci_entry;
	struct config_item *ci_parent;
	struct config_group *ci_group;
	const struct config_item_type *ci_type;
	struct dentry *ci_dentry;
};

/* umc: shared. Its default groups are linked by their group_entry. */
struct config_group {
	struct config_item cg_item;
	struct list_head cg_children;
	struct configfs_subsystem *cg_subsys;
	struct list_head default_groups;
	struct list_head group_entry;
};

/* umc: shared */
struct configfs_attribute {
	const char *ca_name;
	struct module *ca_owner;
	umode_t ca_mode;
	ssize_t (*show)(struct config_item *item, char *page);
	ssize_t (*store)(struct config_item *item, const char *page, size_t count);
};

/* umc: shared */
struct configfs_item_operations {
	void (*release)(struct config_item *item);
	int (*allow_link)(struct config_item *src, struct config_item *target);
	void (*drop_link)(struct config_item *src, struct config_item *target);
};

/* umc: shared */
struct configfs_group_operations {
	struct config_item *(*make_item)(struct config_group *group, const char *name);
	struct config_group *(*make_group)(struct config_group *group, const char *name);
	void (*disconnect_notify)(struct config_group *group, struct config_item *item);
	void (*drop_item)(struct config_group *group, struct config_item *item);
	bool (*is_visible)(struct config_item *item, struct configfs_attribute *attr, int n);
	bool (*is_bin_visible)(struct config_item *item, struct configfs_bin_attribute *attr, int n);
};

/* umc: shared */
struct config_item_type {
	struct module *ct_owner;
	struct configfs_item_operations *ct_item_ops;
	struct configfs_group_operations *ct_group_ops;
	struct configfs_attribute **ct_attrs;
	struct configfs_bin_attribute **ct_bin_attrs;
};

/* umc: shared. su_mutex is held around make_group, make_item, disconnect_notify and drop_item. */
struct configfs_subsystem {
	struct config_group su_group;
	struct mutex su_mutex;
};

#define UMC_CONFIGFS_ATTR(prefix, name, mode, ...)			\
	static struct configfs_attribute prefix##attr_##name = {	\
		.ca_name = __stringify(name),				\
		.ca_owner = THIS_MODULE,				\
		.ca_mode = (mode),					\
		__VA_ARGS__						\
	}
#define CONFIGFS_ATTR(prefix, name)					\
	UMC_CONFIGFS_ATTR(prefix, name, 0644, .show = prefix##name##_show, .store = prefix##name##_store)
#define CONFIGFS_ATTR_RO(prefix, name)	UMC_CONFIGFS_ATTR(prefix, name, 0444, .show = prefix##name##_show)
#define CONFIGFS_ATTR_WO(prefix, name)	UMC_CONFIGFS_ATTR(prefix, name, 0200, .store = prefix##name##_store)

static inline char *config_item_name(struct config_item *item)
{
	return item->ci_name;
}

static inline struct config_group *to_config_group(struct config_item *item)
{
	return item ? container_of(item, struct config_group, cg_item) : NULL;
}

static inline struct configfs_subsystem *to_configfs_subsystem(struct config_group *group)
{
	return group ? container_of(group, struct configfs_subsystem, su_group) : NULL;
}

/* Any context; the last put calls the type's release, which may sleep. */
extern struct config_item *config_item_get(struct config_item *item);
extern struct config_item *config_item_get_unless_zero(struct config_item *item);
extern void config_item_put(struct config_item *item);

/* May sleep. */
extern int config_item_set_name(struct config_item *item, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
extern void config_item_init_type_name(struct config_item *item, const char *name, const struct config_item_type *type);
extern void config_group_init(struct config_group *group);
extern void config_group_init_type_name(struct config_group *group, const char *name,
					const struct config_item_type *type);

/* Under the su_mutex of the group's subsystem. The result is a reference. */
extern struct config_item *config_group_find_item(struct config_group *group, const char *name);

/* May sleep; not from inside of a configfs callback, except for the pair that is called unlocked. */
extern int configfs_register_subsystem(struct configfs_subsystem *subsys);
extern void configfs_unregister_subsystem(struct configfs_subsystem *subsys);
extern void configfs_remove_default_groups(struct config_group *group);
extern int configfs_depend_item(struct configfs_subsystem *subsys, struct config_item *target);
extern void configfs_undepend_item(struct config_item *target);
extern int configfs_depend_item_unlocked(struct configfs_subsystem *caller, struct config_item *target);

static inline void configfs_undepend_item_unlocked(struct config_item *target)
{
	configfs_undepend_item(target);
}

static inline struct config_group *config_group_get(struct config_group *group)
{
	return group ? to_config_group(config_item_get(&group->cg_item)) : NULL;
}

static inline void config_group_put(struct config_group *group)
{
	config_item_put(&group->cg_item);
}

/* Before the group gets its directory: from make_group, or before the subsystem is registered. */
static inline void configfs_add_default_group(struct config_group *new_group, struct config_group *group)
{
	list_add_tail(&new_group->group_entry, &group->default_groups);
}

#endif
