/* SPDX-License-Identifier: GPL-2.0-only */
/* A note that tells builds apart: none (as Linux 6.12 without CONFIG_BUILD_SALT). */
#ifndef UMC_LINUX_BUILD_SALT_H
#define UMC_LINUX_BUILD_SALT_H

#define BUILD_SALT

#endif
