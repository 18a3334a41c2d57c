/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Modules (API of Linux 6.12).
 * Differs: struct module has the fields that drivers read and those that modpost fills; the loader keeps the rest.
 * Owner: umc/src/module.rs
 */
#ifndef UMC_LINUX_MODULE_H
#define UMC_LINUX_MODULE_H

#include <linux/list.h>
#include <linux/stat.h>
#include <linux/compiler.h>
#include <linux/cache.h>
#include <linux/kmod.h>
#include <linux/init.h>
#include <linux/stringify.h>
#include <linux/kobject.h>
#include <linux/moduleparam.h>
#include <linux/export.h>
#include <linux/percpu.h>
#include <linux/dynamic_debug.h>
#include <asm/module.h>

#define MODULE_NAME_LEN	(64 - sizeof(unsigned long))

enum module_state {
	MODULE_STATE_LIVE,
	MODULE_STATE_COMING,
	MODULE_STATE_GOING,
	MODULE_STATE_UNFORMED,
};

/* umc: shared */
struct module_kobject {
	struct kobject kobj;
	struct module *mod;
};

/* umc: shared */
struct module {
	enum module_state state;
	struct list_head list;
	char name[MODULE_NAME_LEN];
	struct module_kobject mkobj;
	const char *version;
	const char *srcversion;
	int (*init)(void);
	struct mod_arch_specific arch;
	void (*exit)(void);
	atomic_t refcnt;
	/* The loader's own record of the module. */
	void *umc_module;
};

/* umc: shared */
struct modversion_info {
	unsigned long crc;
	char name[64 - sizeof(unsigned long)];
};

/* Defined by the file that modpost writes. */
extern struct module __this_module;
extern int init_module(void);
extern void cleanup_module(void);

#ifdef MODULE
#define THIS_MODULE	(&__this_module)
#else
#define THIS_MODULE	((struct module *)0)
#endif

#define module_init(initfn)							\
	static inline initcall_t __attribute__((__unused__)) __inittest(void)	\
	{ return initfn; }							\
	int init_module(void) __attribute__((__copy__(initfn), alias(#initfn)));

#define module_exit(exitfn)							\
	static inline exitcall_t __attribute__((__unused__)) __exittest(void)	\
	{ return exitfn; }							\
	void cleanup_module(void) __attribute__((__copy__(exitfn), alias(#exitfn)));

#define MODULE_INFO(tag, info)		__MODULE_INFO(tag, tag, info)
#define MODULE_ALIAS(_alias)		MODULE_INFO(alias, _alias)
#define MODULE_SOFTDEP(_softdep)	MODULE_INFO(softdep, _softdep)
#define MODULE_WEAKDEP(_weakdep)	MODULE_INFO(weakdep, _weakdep)
/* Names the file of built-in code; a module has a file of its own. */
#define MODULE_FILE
#define MODULE_LICENSE(_license)	MODULE_FILE MODULE_INFO(license, _license)
#define MODULE_AUTHOR(_author)		MODULE_INFO(author, _author)
#define MODULE_DESCRIPTION(_desc)	MODULE_INFO(description, _desc)
#define MODULE_FIRMWARE(_firmware)	MODULE_INFO(firmware, _firmware)
#define MODULE_IMPORT_NS(ns)		MODULE_INFO(import_ns, __stringify(ns))
#define MODULE_VERSION(_version)	MODULE_INFO(version, _version)
/* Tables of device ids are for udev on hardware; there is none to match. */
#define MODULE_DEVICE_TABLE(type, name)

/* any context */
bool try_module_get(struct module *module);
void __module_get(struct module *module);
void module_put(struct module *module);
int module_refcount(struct module *module);

static inline bool module_is_live(struct module *mod)
{
	return mod->state != MODULE_STATE_GOING;
}

static inline bool module_is_coming(struct module *mod)
{
	return mod->state == MODULE_STATE_COMING;
}

static inline const char *module_name(struct module *mod)
{
	return mod ? mod->name : "kernel";
}

#endif
