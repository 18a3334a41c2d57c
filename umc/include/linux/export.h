/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exports of a module (API of Linux 6.12). EXPORT_SYMBOL leaves an entry for modpost, which writes Module.symvers
 * and one KSYMTAB_ line of linux/export-internal.h into the module; the loader reads those.
 * Owner: umc/src/module.rs
 */
#ifndef UMC_LINUX_EXPORT_H
#define UMC_LINUX_EXPORT_H

#include <linux/compiler.h>
#include <linux/linkage.h>
#include <linux/stringify.h>

/*
 * modpost wants: the label, the licence, the namespace, and a reference to the symbol. Writable, since a shared object
 * relocates the reference; nobody reads it there.
 */
#define UMC_EXPORT_ENTRY(sym, license, ns)				\
	__asm__(".pushsection \".export_symbol\",\"aw\"\n"		\
		"__export_symbol_" #sym ":\n"				\
		"\t.asciz \"" license "\"\n"				\
		"\t.asciz \"" ns "\"\n"					\
		"\t.balign 8\n"						\
		"\t.quad " #sym "\n"					\
		".popsection\n")

#if defined(__DISABLE_EXPORTS) || defined(UMC_BINDGEN)
#define __EXPORT_SYMBOL(sym, license, ns)	extern typeof(sym) sym
#else
#define __EXPORT_SYMBOL(sym, license, ns)				\
	extern typeof(sym) sym;						\
	UMC_EXPORT_ENTRY(sym, license, ns)
#endif

#ifdef DEFAULT_SYMBOL_NAMESPACE
#define _EXPORT_SYMBOL(sym, license)	__EXPORT_SYMBOL(sym, license, DEFAULT_SYMBOL_NAMESPACE)
#else
#define _EXPORT_SYMBOL(sym, license)	__EXPORT_SYMBOL(sym, license, "")
#endif

#define EXPORT_SYMBOL(sym)		_EXPORT_SYMBOL(sym, "")
#define EXPORT_SYMBOL_GPL(sym)		_EXPORT_SYMBOL(sym, "GPL")
#define EXPORT_SYMBOL_NS(sym, ns)	__EXPORT_SYMBOL(sym, "", __stringify(ns))
#define EXPORT_SYMBOL_NS_GPL(sym, ns)	__EXPORT_SYMBOL(sym, "GPL", __stringify(ns))
#define EXPORT_SYMBOL_GPL_FOR_MODULES(sym, mods) __EXPORT_SYMBOL(sym, "GPL", "module:" mods)

#endif
