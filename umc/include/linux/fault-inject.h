/* SPDX-License-Identifier: GPL-2.0-only */
/* Faults on purpose: switched off, as where a kernel has no CONFIG_FAULT_INJECTION. Types of 6.12, for drivers that have
 * them in their structs. */
#ifndef UMC_LINUX_FAULT_INJECT_H
#define UMC_LINUX_FAULT_INJECT_H

#include <linux/types.h>

struct fault_attr {
};

#define DECLARE_FAULT_ATTR(name) struct fault_attr name = {}

#endif
