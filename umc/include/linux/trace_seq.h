/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text of tracepoints (6.12): only its name, as no tracepoint is ever on.
 */
#ifndef UMC_LINUX_TRACE_SEQ_H
#define UMC_LINUX_TRACE_SEQ_H

/* umc: handle */
struct trace_seq;

#endif
