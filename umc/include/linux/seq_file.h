/* SPDX-License-Identifier: GPL-2.0-only */
/* Text files made record by record. API of 6.12; no read_iter. The buffer grows until a record fits, as on Linux.
 * Rust owner: umc/src/fs/seq_file.rs; the variadic parts: umc/glue/seq_file.c. */
#ifndef UMC_LINUX_SEQ_FILE_H
#define UMC_LINUX_SEQ_FILE_H

#include <linux/types.h>
#include <linux/stdarg.h>
#include <linux/compiler.h>
#include <linux/string.h>
#include <linux/bug.h>
#include <linux/mutex.h>
#include <linux/list.h>
#include <linux/fs.h>

struct seq_operations;

/* umc: shared */
struct seq_file {
	char *buf;
	size_t size;
	size_t from;
	size_t count;
	size_t pad_until;
	loff_t index;
	loff_t read_pos;
	struct mutex lock;
	const struct seq_operations *op;
	int poll_event;
	const struct file *file;
	void *private;
};

/* umc: shared */
struct seq_operations {
	void *(*start)(struct seq_file *m, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	int (*show)(struct seq_file *m, void *v);
};

#define SEQ_SKIP	1
#define SEQ_START_TOKEN	((void *)1)

static inline bool seq_has_overflowed(struct seq_file *m)
{
	return m->count == m->size;
}

static inline size_t seq_get_buf(struct seq_file *m, char **bufp)
{
	if (m->count >= m->size) {
		*bufp = NULL;
		return 0;
	}
	*bufp = m->buf + m->count;
	return m->size - m->count;
}

static inline void seq_commit(struct seq_file *m, int num)
{
	m->count = num < 0 ? m->size : m->count + (size_t)num;
}

static inline void seq_setwidth(struct seq_file *m, size_t size)
{
	m->pad_until = m->count + size;
}

/* Files. All may sleep. */
extern int seq_open(struct file *file, const struct seq_operations *op);
extern ssize_t seq_read(struct file *file, char __user *buf, size_t size, loff_t *ppos);
extern loff_t seq_lseek(struct file *file, loff_t offset, int whence);
extern int seq_release(struct inode *inode, struct file *file);
extern void *__seq_open_private(struct file *file, const struct seq_operations *op, int psize);
extern int seq_open_private(struct file *file, const struct seq_operations *op, int psize);
extern int seq_release_private(struct inode *inode, struct file *file);
extern void *single_start(struct seq_file *m, loff_t *pos);
extern int single_open(struct file *file, int (*show)(struct seq_file *, void *), void *data);
extern int single_open_size(struct file *file, int (*show)(struct seq_file *, void *), void *data,
			    size_t size);
extern int single_release(struct inode *inode, struct file *file);

/* Output. Any context. */
extern void seq_vprintf(struct seq_file *m, const char *fmt, va_list args);
extern void seq_printf(struct seq_file *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
extern void seq_putc(struct seq_file *m, char c);
extern void __seq_puts(struct seq_file *m, const char *s);
extern int seq_write(struct seq_file *m, const void *data, size_t len);
extern void seq_pad(struct seq_file *m, char c);
extern void seq_put_decimal_ull(struct seq_file *m, const char *delimiter, unsigned long long num);
extern void seq_put_decimal_ll(struct seq_file *m, const char *delimiter, long long num);
extern void seq_put_hex_ll(struct seq_file *m, const char *delimiter, unsigned long long v,
			   unsigned int width);

static inline void seq_puts(struct seq_file *m, const char *s)
{
	__seq_puts(m, s);
}

/* Walks over lists, for start and next. */
extern struct list_head *seq_list_start(struct list_head *head, loff_t pos);
extern struct list_head *seq_list_start_head(struct list_head *head, loff_t pos);
extern struct list_head *seq_list_next(void *v, struct list_head *head, loff_t *ppos);
extern struct hlist_node *seq_hlist_start(struct hlist_head *head, loff_t pos);
extern struct hlist_node *seq_hlist_start_head(struct hlist_head *head, loff_t pos);
extern struct hlist_node *seq_hlist_next(void *v, struct hlist_head *head, loff_t *ppos);

#define DEFINE_SEQ_ATTRIBUTE(__name)						\
static int __name ## _open(struct inode *inode, struct file *file)		\
{										\
	int ret = seq_open(file, &__name ## _sops);				\
	if (!ret && inode->i_private)						\
		((struct seq_file *)file->private_data)->private = inode->i_private; \
	return ret;								\
}										\
static const struct file_operations __name ## _fops = {				\
	.owner = THIS_MODULE,							\
	.open = __name ## _open,						\
	.read = seq_read,							\
	.llseek = seq_lseek,							\
	.release = seq_release,							\
}

#define DEFINE_SHOW_ATTRIBUTE(__name)						\
static int __name ## _open(struct inode *inode, struct file *file)		\
{										\
	return single_open(file, __name ## _show, inode->i_private);		\
}										\
static const struct file_operations __name ## _fops = {				\
	.owner = THIS_MODULE,							\
	.open = __name ## _open,						\
	.read = seq_read,							\
	.llseek = seq_lseek,							\
	.release = single_release,						\
}

#define DEFINE_SHOW_STORE_ATTRIBUTE(__name)					\
static int __name ## _open(struct inode *inode, struct file *file)		\
{										\
	return single_open(file, __name ## _show, inode->i_private);		\
}										\
static const struct file_operations __name ## _fops = {				\
	.owner = THIS_MODULE,							\
	.open = __name ## _open,						\
	.read = seq_read,							\
	.write = __name ## _write,						\
	.llseek = seq_lseek,							\
	.release = single_release,						\
}

#define DEFINE_PROC_SHOW_ATTRIBUTE(__name)					\
static int __name ## _open(struct inode *inode, struct file *file)		\
{										\
	return single_open(file, __name ## _show, pde_data(inode));		\
}										\
static const struct proc_ops __name ## _proc_ops = {				\
	.proc_open = __name ## _open,						\
	.proc_read = seq_read,							\
	.proc_lseek = seq_lseek,						\
	.proc_release = single_release,						\
}

/* The name of a file of the host (md: a bitmap in a file), which is not provided: a question mark. */
static inline int seq_file_path(struct seq_file *m, struct file *file, const char *escape)
{
	seq_puts(m, "?");
	return 0;
}

#endif
