/* SPDX-License-Identifier: GPL-2.0-only */
/* Marks of memory accesses for sanitizers; a module's accesses are seen by the host's own sanitizers. */
#ifndef UMC_LINUX_INSTRUMENTED_H
#define UMC_LINUX_INSTRUMENTED_H

#include <linux/compiler.h>
#include <linux/types.h>

#define instrument_read(v, size) ((void)(v), (void)(size))
#define instrument_write(v, size) ((void)(v), (void)(size))
#define instrument_read_write(v, size) ((void)(v), (void)(size))
#define instrument_atomic_read(v, size) ((void)(v), (void)(size))
#define instrument_atomic_write(v, size) ((void)(v), (void)(size))
#define instrument_atomic_read_write(v, size) ((void)(v), (void)(size))

#endif
