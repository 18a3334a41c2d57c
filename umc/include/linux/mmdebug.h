/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Assertions of memory code (API of Linux 6.12): compiled, not evaluated, as without CONFIG_DEBUG_VM.
 */
#ifndef UMC_LINUX_MMDEBUG_H
#define UMC_LINUX_MMDEBUG_H

#include <linux/build_bug.h>

#define VM_BUG_ON(cond)			BUILD_BUG_ON_INVALID(cond)
#define VM_BUG_ON_PAGE(cond, page)	VM_BUG_ON(cond)
#define VM_BUG_ON_FOLIO(cond, folio)	VM_BUG_ON(cond)
#define VM_WARN_ON(cond)		BUILD_BUG_ON_INVALID(cond)
#define VM_WARN_ON_ONCE(cond)		BUILD_BUG_ON_INVALID(cond)
#define VM_WARN_ON_ONCE_PAGE(cond, page) VM_WARN_ON_ONCE(cond)

#endif
