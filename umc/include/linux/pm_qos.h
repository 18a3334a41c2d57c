/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How late a device may answer (API of Linux 6.12): nobody saves power, and nobody asks.
 */
#ifndef UMC_LINUX_PM_QOS_H
#define UMC_LINUX_PM_QOS_H

#include <linux/types.h>

#define PM_QOS_LATENCY_TOLERANCE_NO_CONSTRAINT	(-1)
#define PM_QOS_LATENCY_ANY			0x7fffffff

struct device;

static inline int dev_pm_qos_expose_latency_tolerance(struct device *dev)
{
	return 0;
}

static inline void dev_pm_qos_hide_latency_tolerance(struct device *dev)
{
}

static inline int dev_pm_qos_update_user_latency_tolerance(struct device *dev, s32 val)
{
	return 0;
}

#endif
