/* SPDX-License-Identifier: GPL-2.0-only */
/* What a handler needs of the handler ABI of tcmu-runner 1.5.4 (the same in 1.6). Its own headers serve as well. */
#ifndef HANDLER_ABI_H
#define HANDLER_ABI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tcmu_device;

struct tcmulib_cmd {
	uint16_t cmd_id;
	uint8_t *cdb;
	struct iovec *iovec;
	size_t iov_cnt;
	uint8_t sense_buf[96];
	void *hm_private;
};

struct tcmur_cmd {
	struct tcmulib_cmd *lib_cmd;
	char opaque[80];
	void (*done)(struct tcmu_device *dev, struct tcmur_cmd *cmd, int ret);
};

struct tcmur_handler {
	const char *name, *subtype, *cfg_desc;
	void *opaque;
	bool (*check_config)(const char *cfgstring, char **reason);
	void *reconfig;
	int (*open)(struct tcmu_device *dev, bool reopen);
	void (*close)(struct tcmu_device *dev);
	int nr_threads;
	int (*handle_cmd)(struct tcmu_device *dev, struct tcmur_cmd *cmd);
	int (*read)(struct tcmu_device *, struct tcmur_cmd *, struct iovec *, size_t, size_t, off_t);
	int (*write)(struct tcmu_device *, struct tcmur_cmd *, struct iovec *, size_t, size_t, off_t);
	int (*flush)(struct tcmu_device *dev, struct tcmur_cmd *cmd);
	int (*unmap)(struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t off, uint64_t len);
	int (*writesame)(struct tcmu_device *, struct tcmur_cmd *, uint64_t, uint64_t, struct iovec *,
			 size_t);
	void *caw, *report_event, *lock, *unlock, *get_lock_tag, *get_lock_state;
	bool is_dbus_handler;
	void *update_logdir;
	int (*init)(void);
	void (*destroy)(void);
};

_Static_assert(sizeof(struct tcmur_handler) == 200, "the layout of 1.5.4");
_Static_assert(sizeof(struct tcmur_cmd) == 96, "the layout of 1.5.4");

enum {
	TCMU_STS_ASYNC_HANDLED = -2, /* from handle_cmd: tcmur_cmd_complete will be called */
	TCMU_STS_NOT_HANDLED = -1,
	TCMU_STS_OK = 0, /* done; from a callback with nr_threads == 0: tcmur_cmd_complete will be called */
	TCMU_STS_NO_RESOURCE = 1,
	TCMU_STS_PASSTHROUGH_ERR = 2, /* the sense buffer says it */
	TCMU_STS_BUSY = 3,
	TCMU_STS_WR_ERR = 4,
	TCMU_STS_RD_ERR = 5,
	TCMU_STS_RANGE = 14,
};

int tcmur_register_handler(struct tcmur_handler *handler);
void tcmur_cmd_complete(struct tcmu_device *dev, void *data, int ret);
char *tcmu_dev_get_cfgstring(struct tcmu_device *dev);
void tcmur_dev_set_private(struct tcmu_device *dev, void *private);
void *tcmur_dev_get_private(struct tcmu_device *dev);
uint64_t tcmu_cfgfs_dev_get_info_u64(struct tcmu_device *dev, const char *name, int *ret);
size_t tcmu_memcpy_into_iovec(struct iovec *iov, size_t cnt, void *src, size_t len);
size_t tcmu_memcpy_from_iovec(void *dst, size_t len, struct iovec *iov, size_t cnt);
uint64_t tcmu_cdb_get_lba(uint8_t *cdb);
uint32_t tcmu_cdb_get_xfer_length(uint8_t *cdb);
int tcmu_sense_set_data(uint8_t *sense, uint8_t key, uint16_t asc);
void tcmu_dev_set_write_cache_enabled(struct tcmu_device *dev, bool enabled);
__attribute__((format(printf, 4, 5))) void tcmu_err_message(struct tcmu_device *dev, const char *func, int line,
							    const char *fmt, ...);

#endif
