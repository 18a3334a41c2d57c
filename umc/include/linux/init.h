/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Initialisation (API of Linux 6.12).
 * Differs: code and data of initialisation stay in memory, hence no sections of their own.
 */
#ifndef UMC_LINUX_INIT_H
#define UMC_LINUX_INIT_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/stringify.h>
#include <linux/types.h>

#define __init		__attribute__((__cold__))
#define __initdata
#define __initconst
#define __exit		__attribute__((__cold__, __unused__))
#define __exitdata
#define __exit_p(x)	x
#define __exitused	__attribute__((__used__))
#define __ref
#define __refdata
#define __refconst
#define __meminit
#define __meminitdata
#define __init_or_module
#define __initdata_or_module
#define __initconst_or_module

typedef int (*initcall_t)(void);
typedef void (*exitcall_t)(void);

/* In a module every level of initcall is the module's initialisation. */
#define pure_initcall(fn)		module_init(fn)
#define core_initcall(fn)		module_init(fn)
#define postcore_initcall(fn)		module_init(fn)
#define arch_initcall(fn)		module_init(fn)
#define subsys_initcall(fn)		module_init(fn)
#define fs_initcall(fn)			module_init(fn)
#define rootfs_initcall(fn)		module_init(fn)
#define device_initcall(fn)		module_init(fn)
#define late_initcall(fn)		module_init(fn)
#define __initcall(fn)			module_init(fn)
#define __exitcall(fn)			module_exit(fn)

/* Modules have no kernel command line. */
#define __setup_param(str, unique_id, fn, early)
#define __setup(str, fn)
#define early_param(str, fn)

#endif
