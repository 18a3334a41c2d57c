/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Credentials of the sender of a message (API of 6.12).
 * Differs from Linux: uid and gid are plain numbers of the host.
 * Rust owner: netlink.rs
 */
#ifndef UMC_NET_SCM_H
#define UMC_NET_SCM_H

#include <linux/types.h>

/* umc: shared */
struct scm_creds {
	u32 pid;
	u32 uid;
	u32 gid;
};

#endif
