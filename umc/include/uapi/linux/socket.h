/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The largest socket address (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_SOCKET_H
#define UMC_UAPI_LINUX_SOCKET_H

#define _K_SS_MAXSIZE 128

typedef unsigned short __kernel_sa_family_t;

/* umc: shared */
struct __kernel_sockaddr_storage {
	union {
		struct {
			__kernel_sa_family_t ss_family;
			char __data[_K_SS_MAXSIZE - sizeof(unsigned short)];
		};
		void *__align;
	};
};

#endif
