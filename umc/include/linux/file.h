/* SPDX-License-Identifier: GPL-2.0-only */
/* References to open files. API of 6.12; no file descriptors: a driver's caller is another process, so fget() and its
 * kin are not provided. Rust owner: umc/src/fs/file.rs. */
#ifndef UMC_LINUX_FILE_H
#define UMC_LINUX_FILE_H

#include <linux/types.h>
#include <linux/compiler.h>

struct file;

/* May sleep: the last reference releases the file. A block file ends its claim and calls the driver's release. */
extern void fput(struct file *file);
/* Every fput() here has released the file when it returns, if it was the last. */
extern void __fput_sync(struct file *file); /* may sleep */

#endif
