/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Zones and orders (API of Linux 6.12). There is one zone; a block of pages has at most 2^MAX_PAGE_ORDER of them.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_MMZONE_H
#define UMC_LINUX_MMZONE_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/numa.h>
#include <linux/nodemask.h>
#include <asm/page.h>

#define MAX_PAGE_ORDER		10
#define MAX_ORDER_NR_PAGES	(1 << MAX_PAGE_ORDER)
#define NR_PAGE_ORDERS		(MAX_PAGE_ORDER + 1)
#define PAGE_ALLOC_COSTLY_ORDER	3

enum zone_type {
	ZONE_DMA,
	ZONE_DMA32,
	ZONE_NORMAL,
	ZONE_MOVABLE,
	__MAX_NR_ZONES
};

/* umc: handle */
struct zone;
/* umc: handle */
struct pglist_data;

#endif
