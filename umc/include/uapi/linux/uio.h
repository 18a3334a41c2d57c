/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct iovec (API of 6.12).
 * Rust owner: uio.rs
 */
#ifndef UMC_UAPI_LINUX_UIO_H
#define UMC_UAPI_LINUX_UIO_H

#include <linux/types.h>

/* umc: shared */
struct iovec {
	void *iov_base;
	size_t iov_len;
};

#define UIO_FASTIOV 8
#define UIO_MAXIOV 1024

#endif
