/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of the system call interface. */
#ifndef UMC_UAPI_LINUX_POSIX_TYPES_H
#define UMC_UAPI_LINUX_POSIX_TYPES_H

#include <linux/stddef.h>
#include <asm/posix_types.h>

#define __FD_SETSIZE 1024

/* umc: shared */
typedef struct {
	unsigned long fds_bits[__FD_SETSIZE / (8 * sizeof(long))];
} __kernel_fd_set;

typedef void (*__kernel_sighandler_t)(int);
typedef int __kernel_key_t;
typedef int __kernel_mqd_t;

#endif
