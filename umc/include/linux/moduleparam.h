/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parameters of modules (API of Linux 6.12): structs in section __param, read by the loader.
 * Owner: umc/src/mm/params.rs (types of parameters), umc/src/module.rs (setting and showing them)
 */
#ifndef UMC_LINUX_MODULEPARAM_H
#define UMC_LINUX_MODULEPARAM_H

#include <linux/init.h>
#include <linux/stringify.h>
#include <linux/kernel.h>
#include <linux/types.h>

#define MODULE_PARAM_PREFIX	/* empty */
#define __MODULE_INFO_PREFIX	/* empty */
#define MAX_PARAM_PREFIX_LEN	(64 - sizeof(unsigned long))

#define __MODULE_INFO(tag, name, info)						\
	static const char __UNIQUE_ID(name)[]					\
		__attribute__((__used__, __section__(".modinfo"), __aligned__(1)))	\
		= __MODULE_INFO_PREFIX __stringify(tag) "=" info

#define __MODULE_PARM_TYPE(name, _type)	__MODULE_INFO(parmtype, name##type, #name ":" _type)
#define MODULE_PARM_DESC(_parm, desc)	__MODULE_INFO(parm, _parm, #_parm ":" desc)

struct module;
struct kernel_param;

enum {
	KERNEL_PARAM_OPS_FL_NOARG = (1 << 0)
};

/* umc: shared */
struct kernel_param_ops {
	unsigned int flags;
	int (*set)(const char *val, const struct kernel_param *kp);
	/* Writes at most a page; the length, or a negative errno. */
	int (*get)(char *buffer, const struct kernel_param *kp);
	void (*free)(void *arg);
};

enum {
	KERNEL_PARAM_FL_UNSAFE	= (1 << 0),
	KERNEL_PARAM_FL_HWPARAM	= (1 << 1),
};

/* umc: shared */
struct kparam_string {
	unsigned int maxlen;
	char *string;
};

/* umc: shared */
struct kparam_array {
	unsigned int max;
	unsigned int elemsize;
	unsigned int *num;
	const struct kernel_param_ops *ops;
	void *elem;
};

/* umc: shared */
struct kernel_param {
	const char *name;
	struct module *mod;
	const struct kernel_param_ops *ops;
	const u16 perm;
	s8 level;
	u8 flags;
	union {
		void *arg;
		const struct kparam_string *str;
		const struct kparam_array *arr;
	};
};

#define __moduleparam_const	const

#define __module_param_call(prefix, name, ops, arg, perm, level, flags)		\
	static const char __param_str_##name[] = prefix #name;			\
	static struct kernel_param __moduleparam_const __param_##name		\
		__attribute__((__used__, __section__("__param"),		\
			       __aligned__(__alignof__(struct kernel_param))))	\
		= { __param_str_##name, THIS_MODULE, ops,			\
		    VERIFY_OCTAL_PERMISSIONS(perm), level, flags, { arg } }

#define module_param_cb(name, ops, arg, perm)	\
	__module_param_call(MODULE_PARAM_PREFIX, name, ops, arg, perm, -1, 0)
/* For a driver that is no module it is set with the devices; all are modules here. */
#define device_param_cb(name, ops, arg, perm)	module_param_cb(name, ops, arg, perm)
#define module_param_cb_unsafe(name, ops, arg, perm)	\
	__module_param_call(MODULE_PARAM_PREFIX, name, ops, arg, perm, -1, KERNEL_PARAM_FL_UNSAFE)
#define module_param_call(name, _set, _get, arg, perm)				\
	static const struct kernel_param_ops __param_ops_##name =		\
		{ .flags = 0, .set = _set, .get = _get };			\
	__module_param_call(MODULE_PARAM_PREFIX, name, &__param_ops_##name, arg, perm, -1, 0)

#define module_param(name, type, perm)		module_param_named(name, name, type, perm)
#define module_param_unsafe(name, type, perm)	module_param_named_unsafe(name, name, type, perm)
#define module_param_named(name, value, type, perm)				\
	param_check_##type(name, &(value));					\
	module_param_cb(name, &param_ops_##type, &value, perm);			\
	__MODULE_PARM_TYPE(name, #type)
#define module_param_named_unsafe(name, value, type, perm)			\
	param_check_##type(name, &(value));					\
	module_param_cb_unsafe(name, &param_ops_##type, &value, perm);		\
	__MODULE_PARM_TYPE(name, #type)

#define module_param_string(name, string, len, perm)				\
	static const struct kparam_string __param_string_##name = { len, string };	\
	__module_param_call(MODULE_PARAM_PREFIX, name, &param_ops_string,	\
			    .str = &__param_string_##name, perm, -1, 0);	\
	__MODULE_PARM_TYPE(name, "string")

#define module_param_array(name, type, nump, perm)	\
	module_param_array_named(name, name, type, nump, perm)
#define module_param_array_named(name, array, type, nump, perm)			\
	param_check_##type(name, &(array)[0]);					\
	static const struct kparam_array __param_arr_##name = {			\
		.max = sizeof(array) / sizeof((array)[0]), .num = nump,		\
		.ops = &param_ops_##type, .elemsize = sizeof((array)[0]), .elem = array };	\
	__module_param_call(MODULE_PARAM_PREFIX, name, &param_array_ops,	\
			    .arr = &__param_arr_##name, perm, -1, 0);		\
	__MODULE_PARM_TYPE(name, "array of " #type)

/* Fails to compile where the variable has not the type of the parameter. */
#define __param_check(name, p, type)						\
	static inline type __attribute__((__unused__)) *__check_##name(void) { return (p); }

#define UMC_PARAM_TYPE(name)							\
	extern const struct kernel_param_ops param_ops_##name;			\
	int param_set_##name(const char *val, const struct kernel_param *kp);	\
	int param_get_##name(char *buffer, const struct kernel_param *kp);

UMC_PARAM_TYPE(byte)
UMC_PARAM_TYPE(short)
UMC_PARAM_TYPE(ushort)
UMC_PARAM_TYPE(int)
UMC_PARAM_TYPE(uint)
UMC_PARAM_TYPE(long)
UMC_PARAM_TYPE(ulong)
UMC_PARAM_TYPE(ullong)
UMC_PARAM_TYPE(hexint)
UMC_PARAM_TYPE(charp)
UMC_PARAM_TYPE(bool)
UMC_PARAM_TYPE(invbool)

extern const struct kernel_param_ops param_ops_bint;
int param_set_bint(const char *val, const struct kernel_param *kp);
#define param_get_bint	param_get_int
extern const struct kernel_param_ops param_ops_bool_enable_only;
int param_set_bool_enable_only(const char *val, const struct kernel_param *kp);
extern const struct kernel_param_ops param_ops_string;
int param_set_copystring(const char *val, const struct kernel_param *kp);
int param_get_string(char *buffer, const struct kernel_param *kp);
extern const struct kernel_param_ops param_array_ops;
int param_set_uint_minmax(const char *val, const struct kernel_param *kp, unsigned int min,
			  unsigned int max);
void param_free_charp(void *arg);

#define param_check_byte(name, p)	__param_check(name, p, unsigned char)
#define param_check_short(name, p)	__param_check(name, p, short)
#define param_check_ushort(name, p)	__param_check(name, p, unsigned short)
#define param_check_int(name, p)	__param_check(name, p, int)
#define param_check_uint(name, p)	__param_check(name, p, unsigned int)
#define param_check_long(name, p)	__param_check(name, p, long)
#define param_check_ulong(name, p)	__param_check(name, p, unsigned long)
#define param_check_ullong(name, p)	__param_check(name, p, unsigned long long)
#define param_check_hexint(name, p)	param_check_uint(name, p)
#define param_check_charp(name, p)	__param_check(name, p, char *)
#define param_check_bool(name, p)	__param_check(name, p, bool)
#define param_check_invbool(name, p)	__param_check(name, p, bool)
#define param_check_bool_enable_only	param_check_bool
#define param_check_bint		param_check_int

#endif
