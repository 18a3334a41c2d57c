/* SPDX-License-Identifier: GPL-2.0-only */
/* debugfs. API of 6.12 with debugfs_change_name of 6.14. Mounted at /sys/kernel/debug of the node's tree. After a removal
 * returns, no call is inside the driver and none will start (but release). Rust owner: umc/src/fs/debugfs.rs. */
#ifndef UMC_LINUX_DEBUGFS_H
#define UMC_LINUX_DEBUGFS_H

#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/fs.h>
#include <linux/seq_file.h>

struct device;

/* umc: shared */
struct debugfs_blob_wrapper {
	void *data;
	unsigned long size;
};

/* umc: shared */
struct debugfs_u32_array {
	u32 *array;
	u32 n_elements;
};

/* All may sleep. A NULL parent is the root; an error pointer as the parent is handed on. Failure is an error pointer. */
extern struct dentry *debugfs_lookup(const char *name, struct dentry *parent);
extern struct dentry *debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
					  const struct file_operations *fops);
extern struct dentry *debugfs_create_file_unsafe(const char *name, umode_t mode, struct dentry *parent,
						 void *data, const struct file_operations *fops);
extern void debugfs_create_file_size(const char *name, umode_t mode, struct dentry *parent, void *data,
				     const struct file_operations *fops, loff_t file_size);
extern struct dentry *debugfs_create_dir(const char *name, struct dentry *parent);
extern struct dentry *debugfs_create_symlink(const char *name, struct dentry *parent, const char *dest);
extern void debugfs_remove(struct dentry *dentry);
#define debugfs_remove_recursive debugfs_remove
extern void debugfs_lookup_and_remove(const char *name, struct dentry *parent);
extern struct dentry *debugfs_rename(struct dentry *old_dir, struct dentry *old_dentry,
				     struct dentry *new_dir, const char *new_name);
extern int debugfs_change_name(struct dentry *dentry, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
extern bool debugfs_initialized(void);

/* Hold off the removal during a call; every operation that the tree calls is inside already. */
extern int debugfs_file_get(struct dentry *dentry);
extern void debugfs_file_put(struct dentry *dentry);

extern void debugfs_create_u8(const char *name, umode_t mode, struct dentry *parent, u8 *value);
extern void debugfs_create_u16(const char *name, umode_t mode, struct dentry *parent, u16 *value);
extern void debugfs_create_u32(const char *name, umode_t mode, struct dentry *parent, u32 *value);
extern void debugfs_create_u64(const char *name, umode_t mode, struct dentry *parent, u64 *value);
extern void debugfs_create_ulong(const char *name, umode_t mode, struct dentry *parent, unsigned long *value);
extern void debugfs_create_x8(const char *name, umode_t mode, struct dentry *parent, u8 *value);
extern void debugfs_create_x16(const char *name, umode_t mode, struct dentry *parent, u16 *value);
extern void debugfs_create_x32(const char *name, umode_t mode, struct dentry *parent, u32 *value);
extern void debugfs_create_x64(const char *name, umode_t mode, struct dentry *parent, u64 *value);
extern void debugfs_create_size_t(const char *name, umode_t mode, struct dentry *parent, size_t *value);
extern void debugfs_create_atomic_t(const char *name, umode_t mode, struct dentry *parent, atomic_t *value);
extern void debugfs_create_bool(const char *name, umode_t mode, struct dentry *parent, bool *value);
extern void debugfs_create_str(const char *name, umode_t mode, struct dentry *parent, char **value);
extern struct dentry *debugfs_create_blob(const char *name, umode_t mode, struct dentry *parent,
					  struct debugfs_blob_wrapper *blob);
extern void debugfs_create_u32_array(const char *name, umode_t mode, struct dentry *parent,
				     struct debugfs_u32_array *array);

#define DEFINE_DEBUGFS_ATTRIBUTE(__fops, __get, __set, __fmt) DEFINE_SIMPLE_ATTRIBUTE(__fops, __get, __set, __fmt)
#define DEFINE_DEBUGFS_ATTRIBUTE_SIGNED(__fops, __get, __set, __fmt) \
	DEFINE_SIMPLE_ATTRIBUTE(__fops, __get, __set, __fmt)

#endif
