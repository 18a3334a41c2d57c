/* SPDX-License-Identifier: GPL-2.0-only */
/* Byte order of a little-endian host. */
#ifndef UMC_LINUX_BYTEORDER_LITTLE_ENDIAN_H
#define UMC_LINUX_BYTEORDER_LITTLE_ENDIAN_H

#include <uapi/linux/byteorder/little_endian.h>
#include <linux/byteorder/generic.h>

#endif
