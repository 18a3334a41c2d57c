/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users and groups as types of their own (API of Linux 6.12). There is one user namespace, with numbers as they are.
 */
#ifndef UMC_LINUX_UIDGID_H
#define UMC_LINUX_UIDGID_H

#include <linux/types.h>

struct user_namespace;
struct task_struct;

/* umc: shared */
typedef struct {
	uid_t val;
} kuid_t;

/* umc: shared */
typedef struct {
	gid_t val;
} kgid_t;

#define KUIDT_INIT(value)	((kuid_t){ value })
#define KGIDT_INIT(value)	((kgid_t){ value })
#define GLOBAL_ROOT_UID		KUIDT_INIT(0)
#define GLOBAL_ROOT_GID		KGIDT_INIT(0)
#define INVALID_UID		KUIDT_INIT((uid_t)-1)
#define INVALID_GID		KGIDT_INIT((gid_t)-1)

static inline uid_t __kuid_val(kuid_t uid) { return uid.val; }
static inline gid_t __kgid_val(kgid_t gid) { return gid.val; }
static inline bool uid_eq(kuid_t left, kuid_t right) { return left.val == right.val; }
static inline bool gid_eq(kgid_t left, kgid_t right) { return left.val == right.val; }
static inline bool uid_valid(kuid_t uid) { return uid.val != (uid_t)-1; }
static inline bool gid_valid(kgid_t gid) { return gid.val != (gid_t)-1; }

static inline kuid_t make_kuid(struct user_namespace *from, uid_t uid)
{
	(void)from;
	return KUIDT_INIT(uid);
}

static inline kgid_t make_kgid(struct user_namespace *from, gid_t gid)
{
	(void)from;
	return KGIDT_INIT(gid);
}

static inline uid_t from_kuid(struct user_namespace *to, kuid_t uid)
{
	(void)to;
	return uid.val;
}

static inline gid_t from_kgid(struct user_namespace *to, kgid_t gid)
{
	(void)to;
	return gid.val;
}

#define from_kuid_munged(to, uid)	from_kuid(to, uid)
#define from_kgid_munged(to, gid)	from_kgid(to, gid)

#endif
