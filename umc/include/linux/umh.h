/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User mode helpers (API of Linux 6.12): programs that the driver runs.
 * Differs: helper_env of the kernel's configuration is added to the environment, so that the tools a helper calls
 * reach this very node; what the helper prints goes to the kernel log.
 * Owner: umc/src/module/umh.rs
 */
#ifndef UMC_LINUX_UMH_H
#define UMC_LINUX_UMH_H

#include <linux/gfp_types.h>
#include <linux/stddef.h>
#include <linux/errno.h>
#include <linux/compiler.h>
#include <linux/types.h>

#define UMH_NO_WAIT	0x00
#define UMH_WAIT_EXEC	0x01
#define UMH_WAIT_PROC	0x02
#define UMH_KILLABLE	0x04
#define UMH_FREEZABLE	0x08

struct cred;

/* umc: shared */
struct subprocess_info {
	const char *path;
	char **argv;
	char **envp;
	int wait;
	int retval;
	int (*init)(struct subprocess_info *info, struct cred *new_cred);
	void (*cleanup)(struct subprocess_info *info);
	void *data;
};

/* may sleep */
int call_usermodehelper(const char *path, char **argv, char **envp, int wait);
struct subprocess_info *
call_usermodehelper_setup(const char *path, char **argv, char **envp, gfp_t gfp_mask,
			  int (*init)(struct subprocess_info *info, struct cred *new_cred),
			  void (*cleanup)(struct subprocess_info *), void *data);
int call_usermodehelper_exec(struct subprocess_info *info, int wait);

#endif
