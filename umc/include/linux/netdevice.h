/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network interfaces (API of Linux 6.12): only whether the host has one of a name.
 * Owner: umc/src/net/inet.rs
 */
#ifndef UMC_LINUX_NETDEVICE_H
#define UMC_LINUX_NETDEVICE_H

#include <net/net_namespace.h>

/* umc: handle */
struct net_device;

/* Not NULL where there is one; nothing else can be done with it. May sleep. */
extern struct net_device *__dev_get_by_name(struct net *net, const char *name);

#endif
