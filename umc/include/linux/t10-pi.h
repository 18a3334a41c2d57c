/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tags of protected sectors (T10 DIF), as they lie in memory. API of Linux 6.12.
 */
#ifndef UMC_LINUX_T10_PI_H
#define UMC_LINUX_T10_PI_H

#include <linux/blk-mq.h>
#include <linux/types.h>

enum t10_dif_type {
	T10_PI_TYPE0_PROTECTION = 0,
	T10_PI_TYPE1_PROTECTION = 1,
	T10_PI_TYPE2_PROTECTION = 2,
	T10_PI_TYPE3_PROTECTION = 3,
};

#define T10_PI_APP_ESCAPE	cpu_to_be16(0xffff)
#define T10_PI_REF_ESCAPE	cpu_to_be32(0xffffffff)

/* umc: shared */
struct t10_pi_tuple {
	__be16 guard_tag;
	__be16 app_tag;
	__be32 ref_tag;
};

/* umc: shared */
struct crc64_pi_tuple {
	__be64 guard_tag;
	__be16 app_tag;
	__u8 ref_tag[6];
};

struct request;

/* No request of a node's driver has protected sectors: nobody asks for the tag of one. */
static inline u32 t10_pi_ref_tag(struct request *rq)
{
	return 0xffffffff;
}

static inline u64 ext_pi_ref_tag(struct request *rq)
{
	return 0xffffffffffffull;
}

#endif
