/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What modpost writes for each export of a module: an array of struct umc_ksym in section __umc_ksymtab.
 * Owner: umc/src/module.rs
 */
#ifndef UMC_LINUX_EXPORT_INTERNAL_H
#define UMC_LINUX_EXPORT_INTERNAL_H

#include <linux/compiler.h>
#include <linux/types.h>

/* umc: shared */
struct umc_ksym {
	const char *name;
	void *value;
};

/* The declaration of the symbol is not known where this is used: hence assembler. */
#define UMC_KSYMTAB(sym)						\
	__asm__(".pushsection \"__umc_ksymtab_strings\",\"a\"\n"		\
		".Lumc_ksym_" #sym ": .asciz \"" #sym "\"\n"		\
		".popsection\n"						\
		".pushsection \"__umc_ksymtab\",\"aw\"\n"		\
		".balign 8\n"						\
		".quad .Lumc_ksym_" #sym "\n"				\
		".quad " #sym "\n"					\
		".popsection\n")

#define KSYMTAB_FUNC(name, sec, ns)	UMC_KSYMTAB(name)
#define KSYMTAB_DATA(name, sec, ns)	UMC_KSYMTAB(name)

/* Versions of symbols are not kept. */
#define SYMBOL_CRC(sym, crc, sec)

#endif
