/* SPDX-License-Identifier: GPL-2.0-only */
/* References to open files, and descriptors of the caller of an ioctl. API of 6.12; a descriptor can be looked up only where
 * the request came from a program through the redirector. A block device of the node is opened anew, without its
 * descriptor's claim; a file of the host has an inode with type, number and size, and no operations.
 * Rust owner: umc/src/fs/file.rs, umc/src/block/caller_file.rs. */
#ifndef UMC_LINUX_FILE_H
#define UMC_LINUX_FILE_H

#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/err.h>
#include <linux/cleanup.h>

struct file;

/* umc: shared */
struct fd {
	struct file *file;
};

/* May sleep: the last reference releases the file. A block file ends its claim and calls the driver's release. */
extern void fput(struct file *file);
/* Every fput() here has released the file when it returns, if it was the last. */
extern void __fput_sync(struct file *file); /* may sleep */

/* The file of a descriptor of the caller, or NULL; to be given back by fput(). May sleep. */
extern struct file *fget(unsigned int fd);

static inline struct fd fdget(unsigned int fd)
{
	struct fd found = { fget(fd) };

	return found;
}

static inline void fdput(struct fd fd)
{
	if (fd.file)
		fput(fd.file);
}

static inline struct file *fd_file(struct fd fd)
{
	return fd.file;
}

static inline bool fd_empty(struct fd fd)
{
	return !fd.file;
}

#endif
