/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The string by which a module says what it was built for. Only .module-common.c may include it.
 */
/* umc: not bound */
#ifndef UMC_LINUX_VERMAGIC_H
#define UMC_LINUX_VERMAGIC_H

#ifndef INCLUDE_VERMAGIC
#error "only .module-common.c includes linux/vermagic.h"
#endif

#include <generated/utsrelease.h>
#include <linux/stringify.h>

/* UMC_HEADERS names these headers; the Makefile of the KDIR sets it. */
#define VERMAGIC_STRING	UTS_RELEASE " SMP mod_unload umc " __stringify(UMC_HEADERS) " "

#endif
