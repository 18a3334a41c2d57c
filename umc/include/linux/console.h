/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Consoles. API of Linux 6.12.
 * Differs: there is none, only the log (linux/printk.h), whose lines are whole without a lock around several of them.
 */
#ifndef UMC_LINUX_CONSOLE_H
#define UMC_LINUX_CONSOLE_H

static inline void console_lock(void)
{
}

static inline void console_unlock(void)
{
}

#endif
