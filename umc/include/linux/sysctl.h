/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings below /proc/sys. API of 6.12: tables of ints. Rust owner: umc/src/fs/sysctl.rs. */
#ifndef UMC_LINUX_SYSCTL_H
#define UMC_LINUX_SYSCTL_H

#include <linux/types.h>

struct ctl_table;
/* umc: handle */
struct ctl_table_header;

typedef int proc_handler(const struct ctl_table *table, int write, void *buffer, size_t *len, loff_t *pos);

/* umc: shared */
struct ctl_table {
	const char *procname;
	void *data;
	int maxlen;
	umode_t mode;
	proc_handler *proc_handler;
	void *extra1, *extra2;
};

/* Shows ints with tabs between, or takes them. */
extern int proc_dointvec(const struct ctl_table *table, int write, void *buffer, size_t *len, loff_t *pos);

/* May sleep. The table stays until it is unregistered; `path` is below /proc/sys. NULL on failure. */
extern struct ctl_table_header *register_sysctl_sz(const char *path, const struct ctl_table *table, size_t size);
#define register_sysctl(path, table)	register_sysctl_sz(path, table, ARRAY_SIZE(table))
extern void unregister_sysctl_table(struct ctl_table_header *header);

#endif
