/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the code is, and where it was called from (API of 6.12). */
#ifndef UMC_LINUX_INSTRUCTION_POINTER_H
#define UMC_LINUX_INSTRUCTION_POINTER_H

#define _RET_IP_ ((unsigned long)__builtin_return_address(0))
#define _THIS_IP_ ({ __label__ umc_here_; umc_here_: (unsigned long)&&umc_here_; })

#endif
