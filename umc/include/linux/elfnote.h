/* SPDX-License-Identifier: GPL-2.0-only */
/* ELF notes: no module of ours carries any (API of Linux 6.12). */
#ifndef UMC_LINUX_ELFNOTE_H
#define UMC_LINUX_ELFNOTE_H
#endif
