/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Path walking. API of 6.12. Differs: a path leads to a device of the node or to a file of the host, which is open while the path
 * is kept. Rust owner: umc/src/block/filp.rs.
 */
#ifndef UMC_LINUX_NAMEI_H
#define UMC_LINUX_NAMEI_H

#include <linux/types.h>
#include <linux/path.h>
#include <linux/fcntl.h>

#define LOOKUP_FOLLOW		0x0001
#define LOOKUP_DIRECTORY	0x0002

/* What path_put() lets go. May sleep. */
extern int kern_path(const char *name, unsigned int flags, struct path *path);

#endif
