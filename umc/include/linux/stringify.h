/* SPDX-License-Identifier: GPL-2.0-only */
/* The text of a macro's value (API of 6.12). */
#ifndef UMC_LINUX_STRINGIFY_H
#define UMC_LINUX_STRINGIFY_H

#define __stringify_1(x...) #x
#define __stringify(x...) __stringify_1(x)
#define FILE_LINE __FILE__ ":" __stringify(__LINE__)

#endif
