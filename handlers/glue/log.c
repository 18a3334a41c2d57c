// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log functions that a handler calls (libtcmu of tcmu-runner 1.5.4).
 * They are variadic, which stable Rust cannot define: the text is made here, src/log.rs does the rest.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct tcmu_device;

bool handlers_log_wanted(int level);
void handlers_log(struct tcmu_device *dev, int level, const char *func, int line, const char *text,
		  size_t len);

enum { LINE_MAX_BYTES = 1024 };

#define LOG_FUNCTION(name, level)                                                              \
	__attribute__((format(printf, 4, 5), visibility("default"))) void name(                \
		struct tcmu_device *dev, const char *func, int line, const char *fmt, ...)     \
	{                                                                                      \
		/* For %m, and for the host, which asks for it when the call failed. */        \
		int kept_errno = errno;                                                        \
		char text[LINE_MAX_BYTES];                                                     \
		va_list args;                                                                  \
		int len;                                                                       \
                                                                                               \
		if (!handlers_log_wanted(level))                                               \
			return;                                                                \
		errno = kept_errno;                                                            \
		va_start(args, fmt);                                                           \
		len = vsnprintf(text, sizeof(text), fmt, args);                                \
		va_end(args);                                                                  \
		if (len >= (int)sizeof(text))                                                  \
			len = sizeof(text) - 1;                                                \
		if (len > 0)                                                                   \
			handlers_log(dev, level, func, line, text, (size_t)len);               \
		errno = kept_errno;                                                            \
	}

/* The levels are those of syslog; 8 is the dump of each SCSI command. */
LOG_FUNCTION(tcmu_crit_message, 2)
LOG_FUNCTION(tcmu_err_message, 3)
LOG_FUNCTION(tcmu_warn_message, 4)
LOG_FUNCTION(tcmu_info_message, 6)
LOG_FUNCTION(tcmu_dbg_message, 7)
LOG_FUNCTION(tcmu_dbg_scsi_cmd_message, 8)

/* Handlers of tcmu-runner's main branch test it. No thread of this host is such a worker. */
__attribute__((visibility("default"))) __thread int __tcmu_is_ework_thread;
