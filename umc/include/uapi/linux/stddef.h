/* SPDX-License-Identifier: GPL-2.0-only */
/* Groups of members with a name, and flexible arrays in unions. */
#ifndef UMC_UAPI_LINUX_STDDEF_H
#define UMC_UAPI_LINUX_STDDEF_H

#include <linux/compiler_types.h>

#define __struct_group_tag(TAG) TAG
/* The members twice: by themselves, and as one member NAME. */
#define __struct_group(TAG, NAME, ATTRS, MEMBERS...)                                          \
	union {                                                                               \
		struct { MEMBERS } ATTRS;                                                     \
		struct __struct_group_tag(TAG) { MEMBERS } ATTRS NAME;                        \
	} ATTRS
#define __DECLARE_FLEX_ARRAY(TYPE, NAME)                                                      \
	struct {                                                                              \
		struct { } __empty_##NAME;                                                    \
		TYPE NAME[];                                                                  \
	}

#endif
