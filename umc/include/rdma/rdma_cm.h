/* SPDX-License-Identifier: GPL-2.0-only */
/* The connection manager of RDMA (API of Linux 6.12). Differs as rdma/ib_verbs.h does. */
#ifndef UMC_RDMA_RDMA_CM_H
#define UMC_RDMA_RDMA_CM_H

#include <linux/socket.h>
#include <linux/in6.h>
#include <rdma/ib_verbs.h>

struct net;
struct rdma_cm_event;
struct rdma_cm_id;

enum rdma_ucm_port_space {
	RDMA_PS_IPOIB = 0x0002,
	RDMA_PS_IB = 0x013f,
	RDMA_PS_TCP = 0x0106,
	RDMA_PS_UDP = 0x0111,
};

typedef int (*rdma_cm_event_handler)(struct rdma_cm_id *id, struct rdma_cm_event *event);

struct rdma_cm_id *__rdma_create_kernel_id(struct net *net, rdma_cm_event_handler event_handler, void *context,
					   enum rdma_ucm_port_space ps, enum ib_qp_type qp_type,
					   const char *caller);
int rdma_reject(struct rdma_cm_id *id, const void *private_data, u8 private_data_len, u8 reason);

#define rdma_create_id(net, event_handler, context, ps, qp_type) \
	__rdma_create_kernel_id((net), (event_handler), (context), (ps), (qp_type), "umc")

#endif
