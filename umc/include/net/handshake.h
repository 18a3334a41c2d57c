/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLS handshakes by a helper in user space (API of Linux 6.12).
 * Differs: there is no helper and no TLS, so a handshake is refused with -EOPNOTSUPP and a line in the log, before
 * a byte is sent; nothing is ever under way that could be cancelled, and no record has a type.
 * Rust owner: umc/src/net/handshake.rs
 */
#ifndef UMC_NET_HANDSHAKE_H
#define UMC_NET_HANDSHAKE_H

#include <linux/types.h>
#include <linux/key.h>
#include <linux/gfp_types.h>

struct cmsghdr;
struct msghdr;
struct sock;
struct socket;

enum {
	TLS_NO_KEYRING = 0,
	TLS_NO_PEERID = 0,
	TLS_NO_CERT = 0,
	TLS_NO_PRIVKEY = 0,
};

typedef void (*tls_done_func_t)(void *data, int status, key_serial_t peerid);

/* umc: shared */
struct tls_handshake_args {
	struct socket *ta_sock;
	tls_done_func_t ta_done;
	void *ta_data;
	const char *ta_peername;
	unsigned int ta_timeout_ms;
	key_serial_t ta_keyring;
	key_serial_t ta_my_cert;
	key_serial_t ta_my_privkey;
	unsigned int ta_num_peerids;
	key_serial_t ta_my_peerids[5];
};

extern int tls_client_hello_anon(const struct tls_handshake_args *args, gfp_t flags);
extern int tls_client_hello_x509(const struct tls_handshake_args *args, gfp_t flags);
extern int tls_client_hello_psk(const struct tls_handshake_args *args, gfp_t flags);
extern int tls_server_hello_x509(const struct tls_handshake_args *args, gfp_t flags);
extern int tls_server_hello_psk(const struct tls_handshake_args *args, gfp_t flags);
extern bool tls_handshake_cancel(struct sock *sk);
extern u8 tls_get_record_type(const struct sock *sk, const struct cmsghdr *msg);
extern void tls_alert_recv(const struct sock *sk, const struct msghdr *msg, u8 *level, u8 *description);

#endif
