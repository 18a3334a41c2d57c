/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers of the TLS socket option level (Linux 6.12, include/uapi/linux/tls.h). */
#ifndef UMC_UAPI_LINUX_TLS_H
#define UMC_UAPI_LINUX_TLS_H

#include <linux/types.h>

/* Names of options of level SOL_TLS. */
#define TLS_TX 1
#define TLS_RX 2
#define TLS_TX_ZEROCOPY_RO 3
#define TLS_RX_EXPECT_NO_PAD 4

/* Types of control messages of level SOL_TLS. */
#define TLS_SET_RECORD_TYPE 1
#define TLS_GET_RECORD_TYPE 2

#endif
