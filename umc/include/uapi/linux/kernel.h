/* SPDX-License-Identifier: GPL-2.0-only */
/* Alignment and division helpers shared with user space, and what sysinfo(2) fills. */
#ifndef UMC_UAPI_LINUX_KERNEL_H
#define UMC_UAPI_LINUX_KERNEL_H

#include <linux/const.h>
#include <linux/types.h>

#define SI_LOAD_SHIFT 16

/* umc: shared */
struct sysinfo {
	__kernel_long_t uptime;
	__kernel_ulong_t loads[3];
	__kernel_ulong_t totalram;
	__kernel_ulong_t freeram;
	__kernel_ulong_t sharedram;
	__kernel_ulong_t bufferram;
	__kernel_ulong_t totalswap;
	__kernel_ulong_t freeswap;
	__u16 procs;
	__u16 pad;
	__kernel_ulong_t totalhigh;
	__kernel_ulong_t freehigh;
	__u32 mem_unit;
};

#endif
