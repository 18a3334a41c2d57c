// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server that accepts by callback and clients of several threads; how a connection ends, and who is told; the settings
 * of a connection; its file; and TLS, which is refused.
 */
#include <linux/file.h>
#include <linux/tls.h>
#include <linux/workqueue.h>
#include <net/handshake.h>
#include <net/tls.h>
#include <net/tls_prot.h>
#include "pair.h"

#define THREADS 4
#define EACH 8

static struct server {
	struct socket *listener;
	struct sockaddr_in addr;
	struct work_struct work;
	void (*state_change)(struct sock *sk);
	spinlock_t lock;
	int pending, announced, accepted;
} server;

static void announce(struct sock *sk)
{
	struct server *me = sk->sk_user_data;

	me->state_change(sk);
	spin_lock(&me->lock);
	me->pending++;
	me->announced++;
	spin_unlock(&me->lock);
	schedule_work(&me->work);
}

static void forget_server(struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_state_change = server.state_change;
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
}

static bool take_pending(void)
{
	bool taken;

	spin_lock_bh(&server.lock);
	taken = server.pending > 0;
	server.pending -= taken;
	spin_unlock_bh(&server.lock);
	return taken;
}

/* What was announced can be accepted without waiting. */
static void accept_announced(struct work_struct *work)
{
	while (take_pending()) {
		struct socket *sock = NULL;
		struct sockaddr_in peer;
		u8 byte = 0;

		if (!CHECK_EQ(kernel_accept(server.listener, &sock, O_NONBLOCK), 0))
			continue;
		CHECK(sock->sk->sk_user_data == &server);
		forget_server(sock->sk);
		sock->sk->sk_rcvtimeo = CHECK_BOUND;
		CHECK_EQ(sock->ops->getname(sock, (struct sockaddr *)&peer, 2), sizeof(peer));
		CHECK_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
		CHECK_EQ(pair_receive(sock, &byte, 1, MSG_WAITALL), 1);
		byte++;
		CHECK_EQ(pair_send(sock, &byte, 1, 0), 1);
		server.accepted++;
		kernel_sock_shutdown(sock, SHUT_RDWR);
		sock_release(sock);
	}
}

static void be_client(int number)
{
	for (int i = 0; i < EACH; i++) {
		struct socket *sock = pair_connect(&server.addr);
		u8 byte = number * EACH + i;

		if (!sock)
			continue;
		CHECK_EQ(sock->sk->sk_state, TCP_ESTABLISHED);
		CHECK_EQ(pair_send(sock, &byte, 1, 0), 1);
		CHECK_EQ(pair_receive(sock, &byte, 1, MSG_WAITALL), 1);
		CHECK_EQ(byte, number * EACH + i + 1);
		CHECK(!tls_handshake_cancel(sock->sk));
		sock_release(sock);
	}
}

static void a_server_and_its_clients(void)
{
	spin_lock_init(&server.lock);
	INIT_WORK(&server.work, accept_announced);
	server.listener = pair_listen(&server.addr);
	if (!server.listener)
		return;
	write_lock_bh(&server.listener->sk->sk_callback_lock);
	server.state_change = server.listener->sk->sk_state_change;
	server.listener->sk->sk_state_change = announce;
	server.listener->sk->sk_user_data = &server;
	write_unlock_bh(&server.listener->sk->sk_callback_lock);
	CHECK_EQ(kernel_listen(server.listener, THREADS * EACH), 0);
	check_together(THREADS, be_client);
	forget_server(server.listener->sk);
	sock_release(server.listener);
	cancel_work_sync(&server.work);
	CHECK_EQ(server.announced, THREADS * EACH);
	CHECK_EQ(server.accepted, THREADS * EACH);
}

static struct watched {
	void (*state_change)(struct sock *sk);
	void (*error_report)(struct sock *sk);
	struct completion changed, reported;
	int error;
} watched;

static void see_change(struct sock *sk)
{
	struct watched *me = sk->sk_user_data;

	me->state_change(sk);
	if (sk->sk_shutdown & RCV_SHUTDOWN || sk->sk_state == TCP_CLOSE)
		complete(&me->changed);
}

static void see_error(struct sock *sk)
{
	struct watched *me = sk->sk_user_data;

	me->error = sk->sk_err;
	me->error_report(sk);
	complete(&me->reported);
}

static void watch(struct sock *sk)
{
	init_completion(&watched.changed);
	init_completion(&watched.reported);
	watched.error = 0;
	write_lock_bh(&sk->sk_callback_lock);
	watched.state_change = sk->sk_state_change;
	watched.error_report = sk->sk_error_report;
	sk->sk_state_change = see_change;
	sk->sk_error_report = see_error;
	sk->sk_user_data = &watched;
	write_unlock_bh(&sk->sk_callback_lock);
}

/* One side says that it is done: what it sent is there, and it still hears. */
static void half_a_connection(void)
{
	struct socket *ends[2];
	char text[8];

	if (!pair_make(ends))
		return;
	watch(ends[0]->sk);
	CHECK_EQ(pair_send(ends[1], "last", 4, 0), 4);
	CHECK_EQ(kernel_sock_shutdown(ends[1], SHUT_WR), 0);
	CHECK_COMES(&watched.changed);
	CHECK(ends[0]->sk->sk_shutdown & RCV_SHUTDOWN);
	CHECK_EQ(ends[0]->sk->sk_state, TCP_CLOSE_WAIT);
	CHECK_EQ(pair_receive(ends[0], text, sizeof(text), MSG_WAITALL), 4);
	CHECK_EQ(pair_receive(ends[0], text, sizeof(text), 0), 0);
	CHECK_EQ(pair_send(ends[0], "and me", 6, 0), 6);
	CHECK_EQ(pair_receive(ends[1], text, 6, MSG_WAITALL), 6);
	CHECK_EQ(pair_send(ends[1], "no", 2, 0), -EPIPE);
	CHECK_EQ(ends[0]->sk->sk_err, 0);
	sock_release(ends[0]);
	CHECK_EQ(pair_receive(ends[1], text, 1, 0), 0);
	sock_release(ends[1]);
	CHECK_EQ(watched.error, 0);
}

/* One side is gone with a reset: the error is reported, and told once. */
static void a_broken_connection(void)
{
	struct socket *ends[2];
	char text[8];

	if (!pair_make(ends))
		return;
	watch(ends[0]->sk);
	sock_no_linger(ends[1]->sk);
	sock_release(ends[1]);
	CHECK_COMES(&watched.reported);
	CHECK_COMES(&watched.changed);
	CHECK_EQ(watched.error, ECONNRESET);
	CHECK_EQ(ends[0]->sk->sk_state, TCP_CLOSE);
	CHECK_EQ(pair_receive(ends[0], text, 1, 0), -ECONNRESET);
	CHECK_EQ(pair_receive(ends[0], text, 1, 0), 0);
	CHECK_EQ(pair_send(ends[0], text, 1, 0), -EPIPE);
	sock_release(ends[0]);
}

static void settings(void)
{
	struct socket *ends[2];
	struct sock *sk;

	if (!pair_make(ends))
		return;
	sk = ends[0]->sk;
	CHECK(net_eq(sock_net(sk), &init_net));
	sk->sk_use_task_frag = false;
	sk->sk_allocation = GFP_ATOMIC;
	sk_set_memalloc(sk);
	sock_set_keepalive(sk);
	CHECK_EQ(tcp_sock_set_keepidle(sk, 23), 0);
	CHECK_EQ(tcp_sock_set_keepidle(sk, 0), -EINVAL);
	CHECK_EQ(tcp_sock_set_keepidle(sk, 32768), -EINVAL);
	CHECK_EQ(tcp_sock_set_keepintvl(sk, 23), 0);
	CHECK_EQ(tcp_sock_set_keepintvl(sk, 0), -EINVAL);
	CHECK_EQ(tcp_sock_set_keepcnt(sk, 9), 0);
	CHECK_EQ(tcp_sock_set_keepcnt(sk, 128), -EINVAL);
	tcp_sock_set_nodelay(sk);
	tcp_sock_set_cork(sk, true);
	CHECK_EQ(pair_send(ends[0], "corked", 6, MSG_MORE), 6);
	tcp_sock_set_cork(sk, false);
	CHECK(sk_stream_min_wspace(sk) >= 0);
	sock_release(ends[0]);
	sock_release(ends[1]);
}

/* The last reference to the file of a socket ends the connection. */
static void files_of_sockets(void)
{
	struct socket *ends[2];
	struct file *file;
	char byte;

	if (!pair_make(ends))
		return;
	file = sock_alloc_file(ends[0], O_NONBLOCK, NULL);
	if (!CHECK(!IS_ERR(file)))
		return;
	CHECK(ends[0]->file == file);
	CHECK_EQ(pair_send(ends[1], "x", 1, 0), 1);
	CHECK_EQ(pair_receive(ends[0], &byte, 1, MSG_WAITALL), 1);
	kernel_sock_shutdown(ends[0], SHUT_RDWR);
	sockfd_put(ends[0]);
	CHECK_EQ(pair_receive(ends[1], &byte, 1, 0), 0);
	sock_release(ends[1]);
}

static void handshake_done(void *data, int status, key_serial_t peer)
{
	CHECK_EQ(status, 0xbad);
}

static void tls(void)
{
	union {
		struct cmsghdr head;
		u8 space[CMSG_SPACE(sizeof(u8))];
	} control = {};
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control) };
	struct tls_handshake_args args = { .ta_done = handshake_done, .ta_peername = "surface" };
	struct kvec vec;
	struct socket *ends[2];
	u8 level = 7, description = 7;
	char text[4];

	if (!pair_make(ends))
		return;
	args.ta_sock = ends[0];
	CHECK_EQ(tls_client_hello_x509(&args, GFP_KERNEL), -EOPNOTSUPP);
	CHECK_EQ(tls_server_hello_x509(&args, GFP_KERNEL), -EOPNOTSUPP);
	CHECK(!tls_handshake_cancel(ends[0]->sk));
	/* Nothing was said; and a record has no type, also for those who are ready for one. */
	CHECK_EQ(pair_send(ends[0], "text", 4, 0), 4);
	vec = (struct kvec){ .iov_base = text, .iov_len = 4 };
	CHECK_EQ(kernel_recvmsg(ends[1], &msg, &vec, 1, 4, MSG_WAITALL), 4);
	CHECK_EQ(memcmp(text, "text", 4), 0);
	CHECK_EQ(tls_get_record_type(ends[1]->sk, &control.head), 0);
	tls_alert_recv(ends[1]->sk, &msg, &level, &description);
	sock_release(ends[0]);
	sock_release(ends[1]);
}

static int __init sockets_init(void)
{
	a_server_and_its_clients();
	half_a_connection();
	a_broken_connection();
	settings();
	files_of_sockets();
	tls();
	return check_result();
}

static void __exit sockets_exit(void)
{
}

module_init(sockets_init);
module_exit(sockets_exit);
MODULE_LICENSE("GPL");
