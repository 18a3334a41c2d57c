/* SPDX-License-Identifier: GPL-2.0-only */
/* Open flags. API of 6.12. No Rust owner: constants. */
#ifndef UMC_LINUX_FCNTL_H
#define UMC_LINUX_FCNTL_H

#include <uapi/linux/fcntl.h>

#define force_o_largefile()	1

#endif
