/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disk geometry (6.12): the part that block drivers fill in getgeo(). The IDE commands are left out.
 */
#ifndef UMC_UAPI_LINUX_HDREG_H
#define UMC_UAPI_LINUX_HDREG_H

#include <linux/types.h>

struct hd_geometry {
	unsigned char heads;
	unsigned char sectors;
	unsigned short cylinders;
	unsigned long start;
};

#define HDIO_GETGEO 0x0301

#endif
