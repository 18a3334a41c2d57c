/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Socket addresses, message headers, message flags (API of 6.12, and the newer name sockaddr_unsized).
 * Differs from Linux: addresses are those of the host; control messages are passed to the host unseen.
 * Rust owner: net.rs
 */
#ifndef UMC_LINUX_SOCKET_H
#define UMC_LINUX_SOCKET_H

#include <asm/socket.h>
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/sockios.h>
#include <linux/uio.h>
#include <uapi/linux/socket.h>

struct kiocb;
struct sk_buff;
struct ubuf_info;

typedef __kernel_sa_family_t sa_family_t;

/* umc: shared */
struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

#define sockaddr_storage __kernel_sockaddr_storage
#define sockaddr_unsized sockaddr

/* umc: shared */
struct msghdr {
	void *msg_name;
	int msg_namelen;
	int msg_inq;
	struct iov_iter msg_iter;
	union {
		void *msg_control;
		void *msg_control_user;
	};
	bool msg_control_is_user : 1;
	bool msg_get_inq : 1;
	unsigned int msg_flags;
	__kernel_size_t msg_controllen;
	struct kiocb *msg_iocb;
	struct ubuf_info *msg_ubuf;
	int (*sg_from_iter)(struct sk_buff *skb, struct iov_iter *from, size_t length);
};

/* umc: shared */
struct cmsghdr {
	__kernel_size_t cmsg_len;
	int cmsg_level;
	int cmsg_type;
};

#define CMSG_ALIGN(len) (((len) + sizeof(long) - 1) & ~(sizeof(long) - 1))
#define CMSG_DATA(cmsg) ((void *)((char *)(cmsg) + sizeof(struct cmsghdr)))
#define CMSG_SPACE(len) (sizeof(struct cmsghdr) + CMSG_ALIGN(len))
#define CMSG_LEN(len) (sizeof(struct cmsghdr) + (len))
#define CMSG_FIRSTHDR(msg) \
	((msg)->msg_controllen >= sizeof(struct cmsghdr) ? (struct cmsghdr *)(msg)->msg_control : (struct cmsghdr *)0)

/* umc: shared */
struct ucred {
	__u32 pid;
	__u32 uid;
	__u32 gid;
};

static inline size_t msg_data_left(struct msghdr *msg)
{
	return iov_iter_count(&msg->msg_iter);
}

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_RDS 21
#define AF_IB 27
#define AF_VSOCK 40
#define AF_SMC 43
#define AF_MAX 46

#define PF_UNSPEC AF_UNSPEC
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_LOCAL
#define PF_INET AF_INET
#define PF_INET6 AF_INET6
#define PF_NETLINK AF_NETLINK
#define PF_PACKET AF_PACKET
#define PF_MAX AF_MAX

#define SOMAXCONN 4096

#define MSG_OOB 0x1
#define MSG_PEEK 0x2
#define MSG_DONTROUTE 0x4
#define MSG_CTRUNC 0x8
#define MSG_PROBE 0x10
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_FIN 0x200
#define MSG_SYN 0x400
#define MSG_CONFIRM 0x800
#define MSG_RST 0x1000
#define MSG_ERRQUEUE 0x2000
#define MSG_NOSIGNAL 0x4000
#define MSG_MORE 0x8000
#define MSG_WAITFORONE 0x10000
#define MSG_BATCH 0x40000
#define MSG_EOF MSG_FIN
#define MSG_ZEROCOPY 0x4000000
#define MSG_SPLICE_PAGES 0x8000000
#define MSG_FASTOPEN 0x20000000
#define MSG_CMSG_CLOEXEC 0x40000000
#define MSG_CMSG_COMPAT 0

#define SOL_IP 0
#define SOL_TCP 6
#define SOL_UDP 17
#define SOL_IPV6 41
#define SOL_NETLINK 270
#define SOL_TLS 282

#endif
