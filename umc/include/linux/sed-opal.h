/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks that encrypt themselves (API of Linux 6.12): as in a kernel that was built without them.
 */
#ifndef UMC_LINUX_SED_OPAL_H
#define UMC_LINUX_SED_OPAL_H

#include <linux/compiler.h>
#include <linux/types.h>

/* umc: handle */
struct opal_dev;

typedef int (sec_send_recv)(void *data, u16 spsp, u8 secp, void *buffer, size_t len, bool send);

static inline struct opal_dev *init_opal_dev(void *data, sec_send_recv *send_recv)
{
	return NULL;
}

static inline void free_opal_dev(struct opal_dev *dev)
{
}

static inline bool opal_unlock_from_suspend(struct opal_dev *dev)
{
	return false;
}

static inline bool is_sed_ioctl(unsigned int cmd)
{
	return false;
}

static inline int sed_ioctl(struct opal_dev *dev, unsigned int cmd, void __user *argp)
{
	return 0;
}

#endif
