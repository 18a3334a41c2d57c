/* SPDX-License-Identifier: GPL-2.0-only */
/* Guards against speculation. API of 6.12; the process runs nothing of less trust, so an index stays as it is. */
#ifndef UMC_LINUX_NOSPEC_H
#define UMC_LINUX_NOSPEC_H

#define array_index_nospec(index, size)	(index)
#define array_index_mask_nospec(index, size)	((index) < (size) ? ~0UL : 0UL)

#endif
