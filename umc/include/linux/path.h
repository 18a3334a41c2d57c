/* SPDX-License-Identifier: GPL-2.0-only */
/* A place in the tree. API of 6.12; the mount is always NULL: a node has one tree. Rust owner: umc/src/fs/vfs.rs. */
#ifndef UMC_LINUX_PATH_H
#define UMC_LINUX_PATH_H

#include <linux/types.h>

struct dentry;
struct vfsmount;

/* umc: shared */
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

/* Keep what the path of an open file stands for, and let it go. The second may sleep. */
extern void path_get(const struct path *path);
extern void path_put(const struct path *path);

static inline int path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

#endif
