/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network interface names (API of 6.12).
 * Rust owner: net.rs
 */
#ifndef UMC_UAPI_LINUX_IF_H
#define UMC_UAPI_LINUX_IF_H

#define IFNAMSIZ 16
#define IFALIASZ 256

#endif
