/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Credentials (API of Linux 6.12): who the caller is whose request the task serves.
 * Differs: a struct cred cannot be looked into or changed.
 * Owner: umc/src/sync/capability.rs, cred.rs
 */
#ifndef UMC_LINUX_CRED_H
#define UMC_LINUX_CRED_H

#include <linux/key.h>
#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/init.h>
#include <linux/key.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

/* umc: handle */
struct cred;

/* any context */
uid_t umc_current_uid(void);

struct task_struct;

struct cred *prepare_kernel_cred(struct task_struct *daemon);
const struct cred *override_creds(const struct cred *new_cred);
void revert_creds(const struct cred *old);
const struct cred *get_cred(const struct cred *cred);
void put_cred(const struct cred *cred);

/* Those of the kernel itself, which stay. */
extern const struct cred *kernel_cred(void);

DEFINE_CLASS(override_creds, const struct cred *, revert_creds(_T), override_creds(new_cred), const struct cred *new_cred)
#define scoped_with_kernel_creds() scoped_class(override_creds, __UNIQUE_ID(cred), kernel_cred())

#define current_uid()	KUIDT_INIT(umc_current_uid())
#define current_euid()	current_uid()
#define current_fsuid()	current_uid()

#endif
