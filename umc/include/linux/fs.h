/* SPDX-License-Identifier: GPL-2.0-only */
/* Open files, inodes and their operations. API of 6.12; a struct file exists for an open of a proc or debugfs file, of a
 * character device, of a block device (made by umc/src/block/bdev.rs), and for a descriptor of a caller (umc/src/block/caller_file.rs).
 * File systems are not provided. Rust owners: umc/src/fs/file.rs, vfs.rs, host_file.rs. */
#ifndef UMC_LINUX_FS_H
#define UMC_LINUX_FS_H

#include <linux/types.h>
#include <linux/kdev_t.h>
#include <linux/list.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/stat.h>
#include <linux/dcache.h>
#include <linux/path.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/rwsem.h>
#include <linux/semaphore.h>
#include <linux/cred.h>
#include <linux/sched/task.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/ioctl.h>
#include <linux/slab.h>
#include <uapi/linux/fs.h>
#include <linux/completion.h>
#include <linux/rculist.h>
#include <linux/shrinker.h>
#include <linux/radix-tree.h>
#include <linux/wait_bit.h>

struct address_space;
struct block_device;
struct cdev;
struct cred;
struct dir_context;
struct file_lock;
struct inode;
struct inode_operations;
struct io_comp_batch;
struct io_uring_cmd;
struct iov_iter;
struct kiocb;
struct module;
struct pipe_inode_info;
struct poll_table_struct;
struct seq_file;
struct vm_area_struct;

typedef void *fl_owner_t;
typedef unsigned int fop_flags_t;

#define FMODE_READ		(1u << 0)
#define FMODE_WRITE		(1u << 1)
#define FMODE_LSEEK		(1u << 2)
#define FMODE_PREAD		(1u << 3)
#define FMODE_PWRITE		(1u << 4)
#define FMODE_EXEC		(1u << 5)
#define FMODE_RANDOM		(1u << 12)
#define FMODE_ATOMIC_POS	(1u << 15)
#define FMODE_CAN_READ		(1u << 17)
#define FMODE_CAN_WRITE		(1u << 18)
#define FMODE_OPENED		(1u << 19)
#define FMODE_STREAM		(1u << 21)
#define FMODE_CAN_ODIRECT	(1u << 22)
#define FMODE_NOWAIT		(1u << 27)

/* umc: shared */
struct super_block {
	unsigned char s_blocksize_bits;
	unsigned long s_blocksize;
	unsigned long s_flags;
	struct block_device *s_bdev;
	dev_t s_dev;
	void *s_fs_info;
	char s_id[32];
};

/* There is no page cache: it only leads to the inode. */
/* umc: shared */
struct address_space {
	struct inode *host;
};

/* umc: shared */
struct inode {
	umode_t i_mode;
	unsigned int i_flags;
	const struct inode_operations *i_op;
	struct super_block *i_sb;
	struct address_space *i_mapping;
	unsigned long i_ino;
	dev_t i_rdev;
	loff_t i_size;
	u32 i_generation;
	u8 i_blkbits;
	blkcnt_t i_blocks;
	spinlock_t i_lock;
	struct rw_semaphore i_rwsem;
	const struct file_operations *i_fop;
	struct cdev *i_cdev;
	atomic_t i_writecount;
	void *i_private;
	/* What proc_create_data() was given. */
	void *umc_pde_data;
	/* Tells the size of a file that may change without the node's doing; NULL: it is i_size. */
	loff_t (*umc_size)(const struct inode *inode);
};

/* umc: shared */
struct file {
	/* References beyond the first are counted from 1: zero and one both mean a single user. */
	atomic_long_t f_count;
	spinlock_t f_lock;
	fmode_t f_mode;
	const struct file_operations *f_op;
	struct address_space *f_mapping;
	void *private_data;
	struct inode *f_inode;
	unsigned int f_flags;
	unsigned int f_iocb_flags;
	const struct cred *f_cred;
	struct path f_path;
	struct mutex f_pos_lock;
	loff_t f_pos;
	/* What the file is open on, for the owner of umc_release. */
	void *umc_open;
	/* Called with the last reference; NULL for a file that is no reference itself. */
	void (*umc_release)(struct file *file);
	/* Writes the file's absolute path into a buffer: its length, or an error; NULL: it has none. */
	ssize_t (*umc_path)(struct file *file, char *buf, size_t size);
};

/* umc: shared */
struct kiocb {
	struct file *ki_filp;
	loff_t ki_pos;
	void (*ki_complete)(struct kiocb *iocb, long ret);
	void *private;
	int ki_flags;
	u16 ki_ioprio;
};

#define IOCB_HIPRI	(1 << 0)
#define IOCB_DSYNC	(1 << 1)
#define IOCB_SYNC	(1 << 2)
#define IOCB_NOWAIT	(1 << 3)
#define IOCB_APPEND	(1 << 4)
#define IOCB_DIRECT	(1 << 17)
#define IOCB_WRITE	(1 << 18)

/* umc: shared */
struct file_operations {
	struct module *owner;
	fop_flags_t fop_flags;
	loff_t (*llseek)(struct file *, loff_t, int);
	ssize_t (*read)(struct file *, char __user *, size_t, loff_t *);
	ssize_t (*write)(struct file *, const char __user *, size_t, loff_t *);
	ssize_t (*read_iter)(struct kiocb *, struct iov_iter *);
	ssize_t (*write_iter)(struct kiocb *, struct iov_iter *);
	int (*iopoll)(struct kiocb *, struct io_comp_batch *, unsigned int);
	int (*iterate_shared)(struct file *, struct dir_context *);
	__poll_t (*poll)(struct file *, struct poll_table_struct *);
	long (*unlocked_ioctl)(struct file *, unsigned int, unsigned long);
	long (*compat_ioctl)(struct file *, unsigned int, unsigned long);
	int (*mmap)(struct file *, struct vm_area_struct *);
	int (*open)(struct inode *, struct file *);
	int (*flush)(struct file *, fl_owner_t);
	int (*release)(struct inode *, struct file *);
	int (*fsync)(struct file *, loff_t, loff_t, int);
	int (*fasync)(int, struct file *, int);
	int (*lock)(struct file *, int, struct file_lock *);
	ssize_t (*splice_write)(struct pipe_inode_info *, struct file *, loff_t *, size_t, unsigned int);
	ssize_t (*splice_read)(struct file *, loff_t *, struct pipe_inode_info *, size_t, unsigned int);
	void (*splice_eof)(struct file *);
	long (*fallocate)(struct file *, int, loff_t, loff_t);
	void (*show_fdinfo)(struct seq_file *, struct file *);
	int (*uring_cmd)(struct io_uring_cmd *, unsigned int);
	int (*uring_cmd_iopoll)(struct io_uring_cmd *, struct io_comp_batch *, unsigned int);
};

static inline struct inode *file_inode(const struct file *file)
{
	return file->f_inode;
}

static inline struct dentry *file_dentry(const struct file *file)
{
	return file->f_path.dentry;
}

static inline struct file *get_file(struct file *file)
{
	long seen = __atomic_load_n(&file->f_count.counter, __ATOMIC_RELAXED);
	long next;

	do {
		next = (seen < 1 ? 1 : seen) + 1;
	} while (!__atomic_compare_exchange_n(&file->f_count.counter, &seen, next, 0,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return file;
}

/* May sleep for a file of the host. */
static inline loff_t i_size_read(const struct inode *inode)
{
	if (inode->umc_size)
		return inode->umc_size(inode);
	return __atomic_load_n(&inode->i_size, __ATOMIC_ACQUIRE);
}

static inline void i_size_write(struct inode *inode, loff_t size)
{
	__atomic_store_n(&inode->i_size, size, __ATOMIC_RELEASE);
}

static inline unsigned int iminor(const struct inode *inode)
{
	return MINOR(inode->i_rdev);
}

static inline unsigned int imajor(const struct inode *inode)
{
	return MAJOR(inode->i_rdev);
}

static inline unsigned int i_blocksize(const struct inode *inode)
{
	return 1U << inode->i_blkbits;
}

/* May sleep. */
static inline void inode_lock(struct inode *inode)
{
	down_write(&inode->i_rwsem);
}

static inline void inode_unlock(struct inode *inode)
{
	up_write(&inode->i_rwsem);
}

static inline int inode_trylock(struct inode *inode)
{
	return down_write_trylock(&inode->i_rwsem);
}

/* May sleep. */
static inline void inode_lock_shared(struct inode *inode)
{
	down_read(&inode->i_rwsem);
}

static inline void inode_unlock_shared(struct inode *inode)
{
	up_read(&inode->i_rwsem);
}

/* Brings what was written to stable storage. May sleep. */
static inline int vfs_fsync_range(struct file *file, loff_t start, loff_t end, int datasync)
{
	return file->f_op && file->f_op->fsync ? file->f_op->fsync(file, start, end, datasync) : -EINVAL;
}

static inline int vfs_fsync(struct file *file, int datasync)
{
	return vfs_fsync_range(file, 0, LLONG_MAX, datasync);
}

/* -EOPNOTSUPP for what has no such operation, -EBADF for what is not open for writing. May sleep. */
static inline int vfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (!file->f_op || !file->f_op->fallocate)
		return -EOPNOTSUPP;
	return file->f_op->fallocate(file, mode, offset, len);
}

/* Reads and writes from a position on, which is moved: bytes, or an error. May sleep. */
extern ssize_t vfs_iter_read(struct file *file, struct iov_iter *iter, loff_t *ppos, int flags);
extern ssize_t vfs_iter_write(struct file *file, struct iov_iter *iter, loff_t *ppos, int flags);
extern ssize_t kernel_read(struct file *file, void *buf, size_t count, loff_t *pos);
extern ssize_t kernel_write(struct file *file, const void *buf, size_t count, loff_t *pos);

/*
 * Opens a file by its path: a device of the node, or a regular file or device of the host. An error pointer else. Both may
 * sleep.
 */
extern struct file *filp_open(const char *filename, int flags, umode_t mode);
extern int filp_close(struct file *file, void *id);

/* The absolute path of an open file, somewhere in the buffer, or an error pointer: -ENAMETOOLONG. Any context. */
extern char *file_path(struct file *file, char *buf, int len);

/* May sleep. */
extern int vfs_getattr(const struct path *path, struct kstat *stat, u32 request_mask, unsigned int query_flags);

/* The block device behind the inode of one. */
static inline struct block_device *I_BDEV(struct inode *inode)
{
	return inode->i_private;
}

/* File systems are the host's: nobody in a node freezes one while it is written to. */
static inline void kiocb_start_write(struct kiocb *iocb)
{
}

static inline void kiocb_end_write(struct kiocb *iocb)
{
}

/* Numbers of character devices. All may sleep. */
#define CHRDEV_MAJOR_MAX 512
extern int alloc_chrdev_region(dev_t *dev, unsigned int first_minor, unsigned int count, const char *name);
extern int register_chrdev_region(dev_t from, unsigned int count, const char *name);
extern void unregister_chrdev_region(dev_t from, unsigned int count);
extern int __register_chrdev(unsigned int major, unsigned int first_minor, unsigned int count, const char *name,
			     const struct file_operations *fops);
extern void __unregister_chrdev(unsigned int major, unsigned int first_minor, unsigned int count, const char *name);

static inline int register_chrdev(unsigned int major, const char *name, const struct file_operations *fops)
{
	return __register_chrdev(major, 0, 256, name, fops);
}

static inline void unregister_chrdev(unsigned int major, const char *name)
{
	__unregister_chrdev(major, 0, 256, name);
}

/* No caller of a driver is a 32-bit program. */
#define compat_ptr_ioctl NULL

extern int simple_open(struct inode *inode, struct file *file);
extern int nonseekable_open(struct inode *inode, struct file *file);
extern int stream_open(struct inode *inode, struct file *file);
extern loff_t noop_llseek(struct file *file, loff_t offset, int whence);
extern loff_t default_llseek(struct file *file, loff_t offset, int whence);
extern ssize_t simple_read_from_buffer(void __user *to, size_t count, loff_t *ppos,
				       const void *from, size_t available);
extern ssize_t simple_write_to_buffer(void *to, size_t available, loff_t *ppos,
				      const void __user *from, size_t count);

/* Attributes of one number. The format takes one unsigned long long. All may sleep. */
extern int simple_attr_open(struct inode *inode, struct file *file, int (*get)(void *, u64 *),
			    int (*set)(void *, u64), const char *fmt);
extern int simple_attr_release(struct inode *inode, struct file *file);
extern ssize_t simple_attr_read(struct file *file, char __user *buf, size_t len, loff_t *ppos);
extern ssize_t simple_attr_write(struct file *file, const char __user *buf, size_t len, loff_t *ppos);

#define DEFINE_SIMPLE_ATTRIBUTE(__fops, __get, __set, __fmt)			\
static int __fops ## _open(struct inode *inode, struct file *file)		\
{										\
	return simple_attr_open(inode, file, __get, __set, __fmt);		\
}										\
static const struct file_operations __fops = {					\
	.owner = THIS_MODULE,							\
	.open = __fops ## _open,						\
	.release = simple_attr_release,						\
	.read = simple_attr_read,						\
	.write = simple_attr_write,						\
	.llseek = default_llseek,						\
}

#endif
