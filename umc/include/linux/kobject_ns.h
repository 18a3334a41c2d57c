/* SPDX-License-Identifier: GPL-2.0-only */
/* Namespaces of kernel objects. API of 6.12; a node has one: the enumeration only. Constants only. */
#ifndef UMC_LINUX_KOBJECT_NS_H
#define UMC_LINUX_KOBJECT_NS_H

enum kobj_ns_type {
	KOBJ_NS_TYPE_NONE = 0,
	KOBJ_NS_TYPE_NET,
	KOBJ_NS_TYPES,
};

#endif
