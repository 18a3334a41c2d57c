/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes of routing messages: their layout, which keys of authenticated ciphers have, too. API of 6.12. */
#ifndef UMC_LINUX_RTNETLINK_H
#define UMC_LINUX_RTNETLINK_H

#include <linux/types.h>

struct rtattr {
	unsigned short rta_len;
	unsigned short rta_type;
};

#define RTA_ALIGNTO	4U
#define RTA_ALIGN(len)	(((len) + RTA_ALIGNTO - 1) & ~(RTA_ALIGNTO - 1))
#define RTA_LENGTH(len)	(RTA_ALIGN(sizeof(struct rtattr)) + (len))
#define RTA_SPACE(len)	RTA_ALIGN(RTA_LENGTH(len))
#define RTA_DATA(rta)	((void *)((char *)(rta) + RTA_LENGTH(0)))

#endif
