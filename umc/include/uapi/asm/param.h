/* SPDX-License-Identifier: GPL-2.0-only */
/* Ticks: the frequency of the configuration inside, 100 outside. */
#ifndef UMC_UAPI_ASM_PARAM_H
#define UMC_UAPI_ASM_PARAM_H

#define HZ CONFIG_HZ
#define USER_HZ 100
#define CLOCKS_PER_SEC USER_HZ
#define EXEC_PAGESIZE 4096
#define MAXHOSTNAMELEN 64

#endif
