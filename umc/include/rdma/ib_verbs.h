/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * InfiniBand verbs (API of Linux 6.12).
 * Differs: there is no such device. What stands here lets a driver find out how the calls look; a module that makes
 * them is refused when it is loaded, with their names.
 */
#ifndef UMC_RDMA_IB_VERBS_H
#define UMC_RDMA_IB_VERBS_H

#include <linux/types.h>
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/slab.h>

struct ib_cq;
struct ib_pd;
struct ib_qp;
struct ib_send_wr;
struct ib_udata;

enum ib_poll_context {
	IB_POLL_SOFTIRQ,
	IB_POLL_WORKQUEUE,
	IB_POLL_UNBOUND_WORKQUEUE,
	IB_POLL_DIRECT,
};

enum ib_qp_type {
	IB_QPT_RC = 2,
	IB_QPT_UC = 3,
	IB_QPT_UD = 4,
};

struct ib_device_attr {
	int max_qp_wr;
	int max_send_sge;
	int max_recv_sge;
	int max_cqe;
};

struct ib_device;

struct ib_device_ops {
	int (*query_device)(struct ib_device *device, struct ib_device_attr *attr, struct ib_udata *udata);
};

struct ib_device {
	struct ib_device_ops ops;
	struct ib_device_attr attrs;
};

int ib_post_send(struct ib_qp *qp, const struct ib_send_wr *send_wr, const struct ib_send_wr **bad_send_wr);
struct ib_pd *__ib_alloc_pd(struct ib_device *device, unsigned int flags, const char *caller);
struct ib_cq *__ib_alloc_cq_any(struct ib_device *dev, void *private, int nr_cqe,
				enum ib_poll_context poll_ctx, const char *caller);

#define ib_alloc_pd(device, flags) __ib_alloc_pd((device), (flags), "umc")
#define ib_alloc_cq_any(dev, private, nr_cqe, poll_ctx) \
	__ib_alloc_cq_any((dev), (private), (nr_cqe), (poll_ctx), "umc")

#endif
