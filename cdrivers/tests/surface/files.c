// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user sees of a module, for tests/surface.rs: parameters with functions of their own, and files of debugfs that
 * get another name and go while they are open.
 */
#include <linux/debugfs.h>
#include <linux/kmod.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>
#include "check.h"

static struct dentry *dir, *file;

/* Even numbers only. */
static unsigned int even = 2;

static int set_even(const char *text, const struct kernel_param *kp)
{
	unsigned int wanted;
	struct kernel_param copy = { .arg = &wanted };
	int err = param_set_uint(text, &copy);

	if (!err && wanted % 2)
		err = -EINVAL;
	if (!err)
		*(unsigned int *)kp->arg = wanted;
	return err;
}

static const struct kernel_param_ops even_ops = { .set = set_even, .get = param_get_uint };
module_param_cb(even, &even_ops, &even, 0644);

/* Once on, always on. */
static bool strict;

static int set_strict(const char *text, const struct kernel_param *kp)
{
	bool wanted;
	struct kernel_param copy = { .arg = &wanted };
	int err = param_set_bool(text, &copy);

	if (!err && strict && !wanted)
		err = -EPERM;
	if (!err)
		*(bool *)kp->arg = wanted;
	return err;
}

static const struct kernel_param_ops strict_ops = { .set = set_strict, .get = param_get_bool };
module_param_cb(strict, &strict_ops, &strict, 0644);

/* The directory has this name from then on. */
static char name[16] = "surface";

static int set_name(const char *text, const struct kernel_param *kp)
{
	strscpy(name, text, sizeof(name));
	strim(name);
	return debugfs_change_name(dir, "%s", name);
}

static int get_name(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%s\n", name);
}

static const struct kernel_param_ops name_ops = { .set = set_name, .get = get_name };
module_param_cb(name, &name_ops, NULL, 0644);

/* The file goes. */
static int set_gone(const char *text, const struct kernel_param *kp)
{
	debugfs_remove(file);
	file = NULL;
	return 0;
}

static const struct kernel_param_ops gone_ops = { .set = set_gone };
module_param_cb(gone, &gone_ops, NULL, 0200);

static int show_state(struct seq_file *seq, void *data)
{
	seq_printf(seq, "%s %s\n", (const char *)seq->private, name);
	return 0;
}

static int open_state(struct inode *inode, struct file *file)
{
	return single_open(file, show_state, inode->i_private);
}

static const struct file_operations state_fops = {
	.owner = THIS_MODULE,
	.open = open_state,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init files_init(void)
{
	CHECK_EQ(request_module("surface-%s", "none"), -ENOENT);
	/* It is beside this one. */
	CHECK_EQ(request_module("%s", "text"), 0);
	dir = debugfs_create_dir(name, NULL);
	CHECK(!IS_ERR(dir));
	file = debugfs_create_file("state", 0444, dir, "named", &state_fops);
	CHECK(!IS_ERR(file));
	if (check_result())
		debugfs_remove(dir);
	return check_result();
}

static void __exit files_exit(void)
{
	debugfs_remove(dir);
}

module_init(files_init);
module_exit(files_exit);
MODULE_LICENSE("GPL");
