/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loading of modules on request (API of Linux 6.12).
 * Differs: no modprobe is run. A module is looked for by name and alias where the module lies that asks, then among
 * those that umc build made; -ENOENT when there is none, 256 (modprobe's exit status 1) when it cannot be loaded. A
 * request that is not waited for is waited for too.
 * Owner: umc/src/module/request.rs
 */
#ifndef UMC_LINUX_KMOD_H
#define UMC_LINUX_KMOD_H

#include <linux/umh.h>
#include <linux/key.h>
#include <linux/gfp_types.h>
#include <linux/stddef.h>
#include <linux/errno.h>
#include <linux/compiler.h>

#define KMOD_PATH_LEN	256

/* may sleep */
int __request_module(bool wait, const char *name, ...) __attribute__((__format__(printf, 2, 3)));

/* What the variadic function hands on. */
int umc_request_module(const char *name, const void *caller);

#define request_module(mod...)		__request_module(true, mod)
#define request_module_nowait(mod...)	__request_module(false, mod)
#define try_then_request_module(x, mod...) \
	((x) ?: (__request_module(true, mod), (x)))

#endif
