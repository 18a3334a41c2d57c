/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints (6.12). A driver's own are compiled, checked for their types, and never on: a node has no tracefs.
 * No Rust side.
 */
#ifndef UMC_LINUX_TRACEPOINT_H
#define UMC_LINUX_TRACEPOINT_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/types.h>

#define TP_PROTO(args...) args
#define TP_ARGS(args...) args
#define TP_CONDITION(args...) args
#define PARAMS(args...) args

#define UMC_TRACEPOINT(name, proto)                                        \
	static inline void trace_##name(proto)                            \
	{                                                                  \
	}                                                                  \
	static inline bool trace_##name##_enabled(void)                    \
	{                                                                  \
		return false;                                              \
	}                                                                  \
	static inline int register_trace_##name(void *probe, void *data)   \
	{                                                                  \
		return -ENOSYS;                                            \
	}                                                                  \
	static inline int unregister_trace_##name(void *probe, void *data) \
	{                                                                  \
		return -ENOSYS;                                            \
	}

#define DECLARE_TRACE(name, proto, args) UMC_TRACEPOINT(name, PARAMS(proto))
#define TRACE_EVENT(name, proto, args, record, assign, print) UMC_TRACEPOINT(name, PARAMS(proto))
#define TRACE_EVENT_CONDITION(name, proto, args, cond, record, assign, print) \
	UMC_TRACEPOINT(name, PARAMS(proto))
#define TRACE_EVENT_FN(name, proto, args, record, assign, print, reg, unreg) \
	UMC_TRACEPOINT(name, PARAMS(proto))
#define DECLARE_EVENT_CLASS(name, proto, args, record, assign, print)
#define DEFINE_EVENT(class, name, proto, args) UMC_TRACEPOINT(name, PARAMS(proto))
#define DEFINE_EVENT_PRINT(class, name, proto, args, print) UMC_TRACEPOINT(name, PARAMS(proto))
#define TRACE_DEFINE_ENUM(name)
#define TRACE_DEFINE_SIZEOF(name)

/* Of other modules' tracepoints. */
#define EXPORT_TRACEPOINT_SYMBOL(name)
#define EXPORT_TRACEPOINT_SYMBOL_GPL(name)

#define DECLARE_TRACEPOINT(name)
#define tracepoint_enabled(name) false
#define tracepoint_synchronize_unregister() do { } while (0)

#endif
