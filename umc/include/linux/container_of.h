/* SPDX-License-Identifier: GPL-2.0-only */
/* From a member to the struct around it (API of 6.12). */
#ifndef UMC_LINUX_CONTAINER_OF_H
#define UMC_LINUX_CONTAINER_OF_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/err.h>

#define typeof_member(T, member) typeof(((T *)0)->member)

#define container_of(ptr, type, member)                                                       \
	({                                                                                    \
		void *umc_member_ = (void *)(ptr);                                            \
		_Static_assert(__same_type(*(ptr), ((type *)0)->member) ||                    \
			       __same_type(*(ptr), void),                                     \
			       "the pointer does not point to the member's type");            \
		(type *)((char *)umc_member_ - offsetof(type, member));                       \
	})
#define container_of_const(ptr, type, member)                                                 \
	_Generic(ptr, const typeof(*(ptr)) *: ((const type *)container_of(ptr, type, member)),\
		 default: ((type *)container_of(ptr, type, member)))
#define container_of_safe(ptr, type, member)                                                  \
	({                                                                                    \
		typeof(ptr) umc_safe_ = (ptr);                                                \
		IS_ERR_OR_NULL(umc_safe_) ? (type *)ERR_CAST(umc_safe_)                       \
					  : container_of(umc_safe_, type, member);            \
	})

#endif
