/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the tree. API of 6.12; proc and debugfs make dentries, each with its inode inside the same allocation,
 * and open files of block devices and of the host have one of their own.
 * A dentry is unhashed under the inode lock of its parent. Rust owner: umc/src/fs.rs. */
#ifndef UMC_LINUX_DCACHE_H
#define UMC_LINUX_DCACHE_H

#include <linux/types.h>
#include <linux/list.h>

struct file;
struct inode;
struct super_block;
struct dentry_operations;

/* umc: shared */
struct qstr {
	u32 hash;
	u32 len;
	const unsigned char *name;
};

#define QSTR_INIT(n, l) { .hash = 0, .len = (l), .name = (const unsigned char *)(n) }

/* umc: shared */
struct dentry {
	unsigned int d_flags;
	/* Non-zero from the creation to the removal of the name. */
	unsigned int umc_hashed;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	unsigned long d_time;
	void *d_fsdata;
	/* The open file whose path ends here, and that keeps it; NULL for a name of the tree. */
	struct file *umc_file;
};

static inline struct inode *d_inode(const struct dentry *dentry)
{
	return dentry->d_inode;
}

static inline struct inode *d_inode_rcu(const struct dentry *dentry)
{
	return __atomic_load_n(&dentry->d_inode, __ATOMIC_ACQUIRE);
}

static inline struct inode *d_backing_inode(const struct dentry *dentry)
{
	return dentry->d_inode;
}

static inline bool d_really_is_negative(const struct dentry *dentry)
{
	return !dentry->d_inode;
}

static inline bool d_really_is_positive(const struct dentry *dentry)
{
	return dentry->d_inode != NULL;
}

static inline int d_unhashed(const struct dentry *dentry)
{
	return !__atomic_load_n(&dentry->umc_hashed, __ATOMIC_ACQUIRE);
}

static inline int simple_positive(const struct dentry *dentry)
{
	return d_really_is_positive(dentry) && !d_unhashed(dentry);
}

/* Any context. */
extern struct dentry *dget(struct dentry *dentry);
/* Any context; NULL and error pointers are allowed. */
extern void dput(struct dentry *dentry);

#endif
