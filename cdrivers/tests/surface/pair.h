/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections over 127.0.0.1 whose both ends are the module's. */
#ifndef SURFACE_PAIR_H
#define SURFACE_PAIR_H

#include <linux/in.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "check.h"

/* A listener on a port of the host's choice, which `addr` says afterwards. */
static inline struct socket *pair_listen(struct sockaddr_in *addr)
{
	struct socket *listener = NULL;

	*addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (!CHECK_EQ(sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &listener), 0))
		return NULL;
	listener->sk->sk_reuse = SK_CAN_REUSE;
	CHECK_EQ(kernel_bind(listener, (struct sockaddr *)addr, sizeof(*addr)), 0);
	CHECK_EQ(listener->ops->getname(listener, (struct sockaddr *)addr, 0), sizeof(*addr));
	return listener;
}

static inline struct socket *pair_connect(struct sockaddr_in *addr)
{
	struct socket *sock = NULL;

	if (!CHECK_EQ(sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &sock), 0))
		return NULL;
	sock->sk->sk_rcvtimeo = sock->sk->sk_sndtimeo = CHECK_BOUND;
	CHECK_EQ(kernel_connect(sock, (struct sockaddr *)addr, sizeof(*addr), 0), 0);
	return sock;
}

/* Both ends of a new connection. */
static inline bool pair_make(struct socket **ends)
{
	struct sockaddr_in addr;
	struct socket *listener = pair_listen(&addr);

	ends[0] = ends[1] = NULL;
	if (!listener)
		return false;
	CHECK_EQ(kernel_listen(listener, 5), 0);
	listener->sk->sk_rcvtimeo = CHECK_BOUND;
	ends[0] = pair_connect(&addr);
	CHECK_EQ(kernel_accept(listener, &ends[1], 0), 0);
	sock_release(listener);
	if (!CHECK(ends[0] && ends[1]))
		return false;
	ends[1]->sk->sk_rcvtimeo = ends[1]->sk->sk_sndtimeo = CHECK_BOUND;
	return true;
}

static inline int pair_send(struct socket *sock, void *data, size_t len, int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_NOSIGNAL };
	struct kvec vec = { .iov_base = data, .iov_len = len };

	return kernel_sendmsg(sock, &msg, &vec, 1, len);
}

/* All of it. */
static inline bool pair_send_all(struct socket *sock, void *data, size_t len)
{
	while (len) {
		int sent = pair_send(sock, data, len, 0);

		if (sent <= 0)
			return false;
		data += sent;
		len -= sent;
	}
	return true;
}

static inline int pair_receive(struct socket *sock, void *data, size_t len, int flags)
{
	struct msghdr msg = { .msg_flags = flags };
	struct kvec vec = { .iov_base = data, .iov_len = len };

	return kernel_recvmsg(sock, &msg, &vec, 1, len, flags);
}

#endif
