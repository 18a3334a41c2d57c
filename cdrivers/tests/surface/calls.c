// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls of programs, for tests/surface/: a misc device, a character device with a number of its own and a disk, whose
 * ioctls read and write their caller's memory, take descriptors and sleep. What they do is a fixture; the test checks it
 * from the program's side.
 */
#include <linux/blkdev.h>
#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include "check.h"

#define TEXT_MAX 4096

/* Two pointers in the argument: what lies at `from` goes to `to`, each byte turned over, and `sum` is that of the bytes. */
struct turn {
	u64 from, to, len, sum;
};

#define CALLS_TURN	_IOWR('U', 0x20, struct turn)
/* No number says how long the argument is: its first word does. It comes back doubled. */
#define CALLS_DOUBLE	_IO('U', 0x21)
/* The argument is a string; its length is the result. */
#define CALLS_STRING	_IO('U', 0x22)
/* Zeroes a page at the argument. */
#define CALLS_CLEAR	_IO('U', 0x23)
/* The argument is a descriptor: its file's type, in the place of it 0 for a socket, is the result. */
#define CALLS_FILE	_IO('U', 0x24)
/* Sleeps until there were more events than the argument says. */
#define CALLS_WAIT	_IO('U', 0x25)
/* One event more. */
#define CALLS_EVENT	_IO('U', 0x26)
/* Events up to now are no news to this file. */
#define CALLS_ARM	_IO('U', 0x27)
/* How the caller has the file open. */
#define CALLS_MODE	_IO('U', 0x28)
/* get_user, put_user, one more. */
#define CALLS_MORE	_IOWR('U', 0x29, int)

static atomic_t events = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(news);

/* What the test looks at from outside. */
static int opens, sleepers, interrupted;
module_param(opens, int, 0444);
module_param(sleepers, int, 0444);
module_param(interrupted, int, 0444);
static DEFINE_MUTEX(counts);

static void count(int *what, int by)
{
	mutex_lock(&counts);
	*what += by;
	mutex_unlock(&counts);
}

struct open_file {
	int seen;
	size_t len;
	char text[TEXT_MAX];
};

static long turn(void __user *arg)
{
	struct turn turn;
	u8 *data;
	long err = 0;

	if (copy_from_user(&turn, arg, sizeof(turn)))
		return -EFAULT;
	data = vmemdup_user((void __user *)turn.from, turn.len);
	if (IS_ERR(data))
		return PTR_ERR(data);
	turn.sum = 0;
	for (u64 i = 0; i < turn.len; i++) {
		turn.sum += data[i];
		data[i] = ~data[i];
	}
	if (copy_to_user((void __user *)turn.to, data, turn.len) ||
	    copy_to_user(arg, &turn, sizeof(turn)))
		err = -EFAULT;
	kvfree(data);
	return err;
}

static long doubled(void __user *arg)
{
	u32 len, *data;
	long err = 0;

	if (get_user(len, (u32 __user *)arg))
		return -EFAULT;
	if (len < sizeof(len) || len > 1 << 20)
		return -EINVAL;
	data = memdup_user(arg, len);
	if (IS_ERR(data))
		return PTR_ERR(data);
	for (u32 i = 1; i < len / sizeof(*data); i++)
		data[i] *= 2;
	if (copy_to_user(arg, data, len))
		err = -EFAULT;
	kfree(data);
	return err;
}

static long string(const char __user *arg)
{
	char *text = strndup_user(arg, TEXT_MAX);
	long len;

	if (IS_ERR(text))
		return PTR_ERR(text);
	len = strlen(text);
	kfree(text);
	return len;
}

static long file_type(int number)
{
	struct fd fd = fdget(number);
	long type;
	int err;

	if (!fd_file(fd))
		return -EBADF;
	type = file_inode(fd_file(fd))->i_mode & S_IFMT;
	fdput(fd);
	if (type == S_IFSOCK) {
		struct socket *socket = sockfd_lookup(number, &err);

		if (!socket)
			return err;
		sockfd_put(socket);
		type = 0;
	}
	return type;
}

static long wait_for_news(int seen)
{
	long err;

	count(&sleepers, 1);
	err = wait_event_interruptible(news, atomic_read(&events) > seen);
	count(&sleepers, -1);
	if (err)
		count(&interrupted, 1);
	return err;
}

static long call(unsigned int cmd, unsigned long value)
{
	void __user *arg = (void __user *)value;
	int number;

	switch (cmd) {
	case CALLS_TURN:
		return turn(arg);
	case CALLS_DOUBLE:
		return doubled(arg);
	case CALLS_STRING:
		return string(arg);
	case CALLS_CLEAR:
		return clear_user(arg, PAGE_SIZE) ? -EFAULT : 0;
	case CALLS_FILE:
		return file_type(value);
	case CALLS_WAIT:
		return wait_for_news(value);
	case CALLS_EVENT:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		atomic_inc(&events);
		wake_up(&news);
		return atomic_read(&events);
	case CALLS_MORE:
		if (get_user(number, (int __user *)arg))
			return -EFAULT;
		return put_user(number + 1, (int __user *)arg);
	}
	return -ENOTTY;
}

static int open_file(struct inode *inode, struct file *file)
{
	struct open_file *open = kzalloc(sizeof(*open), GFP_KERNEL);

	if (!open)
		return -ENOMEM;
	open->seen = atomic_read(&events);
	file->private_data = open;
	count(&opens, 1);
	return nonseekable_open(inode, file);
}

static int release_file(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	count(&opens, -1);
	return 0;
}

/* What was written last, once; then, if there is nothing else to do, one waits for news. */
static ssize_t read_file(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	struct open_file *open = file->private_data;

	if (!open->len) {
		long err;

		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_for_news(atomic_read(&events));
		return err;
	}
	len = min(len, open->len);
	if (copy_to_user(to, open->text, len))
		return -EFAULT;
	open->len = 0;
	return len;
}

static ssize_t write_file(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct open_file *open = file->private_data;

	if (len > TEXT_MAX)
		return -EINVAL;
	if (copy_from_user(open->text, from, len))
		return -EFAULT;
	open->len = len;
	return len;
}

static __poll_t poll_file(struct file *file, poll_table *table)
{
	struct open_file *open = file->private_data;

	poll_wait(file, &news, table);
	return atomic_read(&events) > open->seen ? EPOLLIN : 0;
}

static long ioctl_file(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct open_file *open = file->private_data;

	switch (cmd) {
	case CALLS_ARM:
		open->seen = atomic_read(&events);
		return 0;
	case CALLS_MODE:
		return file->f_mode & (FMODE_READ | FMODE_WRITE);
	}
	return call(cmd, arg);
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = open_file,
	.release = release_file,
	.read = read_file,
	.write = write_file,
	.poll = poll_file,
	.unlocked_ioctl = ioctl_file,
	.llseek = noop_llseek,
};

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "surface-calls",
	.nodename = "surface/calls",
	.mode = 0640,
	.fops = &fops,
};

/* Neither read nor poll. */
static const struct file_operations plain_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = ioctl_file,
	.open = open_file,
	.release = release_file,
};

static int plain_major;
static struct class *plain_class;
static struct gendisk *disk;

static int ioctl_disk(struct block_device *bdev, blk_mode_t mode, unsigned int cmd, unsigned long arg)
{
	if (cmd == CALLS_MODE)
		return mode;
	return call(cmd, arg);
}

static void submit(struct bio *bio)
{
	bio_io_error(bio);
}

static const struct block_device_operations disk_fops = {
	.owner = THIS_MODULE,
	.submit_bio = submit,
	.ioctl = ioctl_disk,
};

static int make_disk(void)
{
	disk = blk_alloc_disk(NULL, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->major = register_blkdev(0, "surface-calls");
	disk->minors = 1;
	disk->fops = &disk_fops;
	snprintf(disk->disk_name, DISK_NAME_LEN, "calls0");
	set_capacity(disk, 2048);
	return add_disk(disk);
}

static int make_plain(void)
{
	struct device *device;

	plain_major = register_chrdev(0, "surface-plain", &plain_fops);
	if (plain_major < 0)
		return plain_major;
	CHECK_EQ(register_chrdev(plain_major, "surface-other", &plain_fops), -EBUSY);
	plain_class = class_create("surface-plain");
	device = device_create(plain_class, NULL, MKDEV(plain_major, 3), NULL, "plain%d", 3);
	return PTR_ERR_OR_ZERO(device);
}

static int __init calls_init(void)
{
	struct miscdevice twin = { .minor = MISC_DYNAMIC_MINOR, .name = "surface-calls", .fops = &fops };

	CHECK_EQ(misc_register(&misc), 0);
	CHECK(misc.minor != MISC_DYNAMIC_MINOR);
	/* A name that is taken. */
	CHECK(misc_register(&twin) < 0);
	CHECK_EQ(twin.minor, MISC_DYNAMIC_MINOR);
	CHECK_EQ(make_plain(), 0);
	CHECK_EQ(make_disk(), 0);
	/* In a task that serves no call nobody has descriptors. */
	CHECK(!fget(0));
	return check_result();
}

static void __exit calls_exit(void)
{
	del_gendisk(disk);
	unregister_blkdev(disk->major, "surface-calls");
	put_disk(disk);
	device_destroy(plain_class, MKDEV(plain_major, 3));
	class_destroy(plain_class);
	unregister_chrdev(plain_major, "surface-plain");
	misc_deregister(&misc);
}

module_init(calls_init);
module_exit(calls_exit);
MODULE_LICENSE("GPL");
