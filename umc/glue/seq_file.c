/* SPDX-License-Identifier: GPL-2.0-only */
/* The variadic parts of linux/seq_file.h and linux/debugfs.h: formatting, then Rust. */

#include <stdarg.h>
#include <stddef.h>

struct seq_file;
struct dentry;

extern int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
/* Where the next output goes and how much fits; umc/src/fs/seq_file.rs. */
extern size_t umc_seq_room(struct seq_file *m, char **room);
/* `len` bytes are wanted there: taken when they fit, an overflow when not. */
extern void umc_seq_take(struct seq_file *m, size_t len);
extern int umc_debugfs_change_name(struct dentry *dentry, const char *name);

void seq_vprintf(struct seq_file *m, const char *fmt, va_list args)
{
	char *room;
	size_t size = umc_seq_room(m, &room);

	if (size)
		umc_seq_take(m, (size_t)umc_vsnprintf(room, size, fmt, args));
}

void seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	seq_vprintf(m, fmt, args);
	va_end(args);
}

int debugfs_change_name(struct dentry *dentry, const char *fmt, ...)
{
	char name[256];
	va_list args;

	va_start(args, fmt);
	umc_vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return umc_debugfs_change_name(dentry, name);
}
