// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handler to begin with: a disk in a file, one blocking call per request.
 *
 *     make && umc handler check ./handler_template.so /tmp/disk.img,size=64M
 *     umc start alpha --handler-dir . --disk d0=template//tmp/disk.img,size=64M
 *
 * Change the name, the subtype, and the file's name with it: handler_SUBTYPE.so. The rules are in docs/handlers.md.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "handler_abi.h"

/* Everything about one open disk. */
struct disk {
	int fd;
};

#define log_error(dev, ...) tcmu_err_message(dev, __func__, __LINE__, __VA_ARGS__)

/* "template/PATH": what follows the first slash is ours. */
static const char *path_of(struct tcmu_device *dev)
{
	return strchr(tcmu_dev_get_cfgstring(dev), '/') + 1;
}

/* 0, or a negative errno. What is logged here is what the user is told. */
static int template_open(struct tcmu_device *dev, bool reopen)
{
	const char *path = path_of(dev);
	struct disk *disk;
	struct stat st;
	uint64_t size;
	int ret;

	(void)reopen;
	size = tcmu_cfgfs_dev_get_info_u64(dev, "Size", &ret);
	if (ret < 0)
		return ret;
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	disk->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (disk->fd < 0) {
		ret = -errno;
		log_error(dev, "%s: %s\n", path, strerror(errno));
		goto free_disk;
	}
	if (fstat(disk->fd, &st) < 0 || (st.st_size == 0 && ftruncate(disk->fd, (off_t)size) < 0)) {
		ret = -errno;
		log_error(dev, "%s: %s\n", path, strerror(errno));
		goto close_file;
	}
	if (st.st_size != 0 && (uint64_t)st.st_size < size) {
		ret = -EINVAL;
		log_error(dev, "%s has %lld bytes, and %llu are asked for\n", path, (long long)st.st_size,
			  (unsigned long long)size);
		goto close_file;
	}
	tcmu_dev_set_write_cache_enabled(dev, true);
	tcmur_dev_set_private(dev, disk);
	return 0;

close_file:
	close(disk->fd);
free_disk:
	free(disk);
	return ret;
}

/* Nothing is running. Not called after an open that failed. */
static void template_close(struct tcmu_device *dev)
{
	struct disk *disk = tcmur_dev_get_private(dev);

	close(disk->fd);
	free(disk);
}

/* Moves all of it, also when the host's kernel moves parts. The array of pieces is ours to consume. */
static int transfer(struct disk *disk, bool write, struct iovec *iov, size_t count, size_t len, off_t off)
{
	while (len > 0) {
		ssize_t done = write ? pwritev(disk->fd, iov, (int)count, off) : preadv(disk->fd, iov, (int)count, off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return write ? TCMU_STS_WR_ERR : TCMU_STS_RD_ERR;
		len -= (size_t)done;
		off += done;
		while (count > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return TCMU_STS_OK;
}

static int template_read(struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t count, size_t len,
			 off_t off)
{
	(void)cmd;
	return transfer(tcmur_dev_get_private(dev), false, iov, count, len, off);
}

static int template_write(struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iov, size_t count, size_t len,
			  off_t off)
{
	(void)cmd;
	return transfer(tcmur_dev_get_private(dev), true, iov, count, len, off);
}

/* Completed writes are on stable storage when this returns. */
static int template_flush(struct tcmu_device *dev, struct tcmur_cmd *cmd)
{
	struct disk *disk = tcmur_dev_get_private(dev);

	(void)cmd;
	return fdatasync(disk->fd) == 0 ? TCMU_STS_OK : TCMU_STS_WR_ERR;
}

static struct tcmur_handler template_handler = {
	.name = "Template",
	.subtype = "template",
	.cfg_desc = "template/PATH: a disk in a file, created when it is missing",
	.open = template_open,
	.close = template_close,
	/* The callbacks block, up to four at a time for each disk. */
	.nr_threads = 4,
	.read = template_read,
	.write = template_write,
	.flush = template_flush,
};

__attribute__((visibility("default"))) int handler_init(void)
{
	return tcmur_register_handler(&template_handler);
}
