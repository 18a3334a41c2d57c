/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tick rate. API of Linux 6.12. Rust owner: jiffies.rs.
 */
#ifndef UMC_ASM_PARAM_H
#define UMC_ASM_PARAM_H

#define HZ 250
#define USER_HZ 100
#define CLOCKS_PER_SEC USER_HZ
#define EXEC_PAGESIZE 4096
#ifndef NOGROUP
#define NOGROUP (-1)
#endif
#define MAXHOSTNAMELEN 64

#endif
