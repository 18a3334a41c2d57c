/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of the system (API of 6.12). The node name is that of the kernel of the calling task.
 * Rust owner: `utsname.rs`.
 */
#ifndef UMC_LINUX_UTSNAME_H
#define UMC_LINUX_UTSNAME_H

#define __NEW_UTS_LEN 64

/* umc: shared */
struct new_utsname {
	char sysname[__NEW_UTS_LEN + 1];
	char nodename[__NEW_UTS_LEN + 1];
	char release[__NEW_UTS_LEN + 1];
	char version[__NEW_UTS_LEN + 1];
	char machine[__NEW_UTS_LEN + 1];
	char domainname[__NEW_UTS_LEN + 1];
};

/* Any context. */
extern struct new_utsname *umc_utsname(void);
#define utsname() umc_utsname()
#define init_utsname() umc_utsname()

#endif
