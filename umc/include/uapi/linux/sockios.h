/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Socket ioctl numbers (API of 6.12): the two that ask for queue lengths.
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_SOCKIOS_H
#define UMC_UAPI_LINUX_SOCKIOS_H

#define SIOCINQ 0x541B
#define SIOCOUTQ 0x5411

#endif
