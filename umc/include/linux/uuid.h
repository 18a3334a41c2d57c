/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Universally unique identifiers (RFC 9562). API of Linux 6.12.
 * Owner of the functions: umc/src/sched/uuid.rs
 */
#ifndef UMC_LINUX_UUID_H
#define UMC_LINUX_UUID_H

#include <linux/string.h>
#include <linux/types.h>

#define UUID_SIZE	16
#define UUID_STRING_LEN	36

/* Bytes in the order in which they are written down. */
/* umc: shared */
typedef struct {
	__u8 b[UUID_SIZE];
} uuid_t;

/* The first three fields are little endian. */
/* umc: shared */
typedef struct {
	__u8 b[UUID_SIZE];
} guid_t;

#define UUID_INIT(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)				\
	((uuid_t){ { ((a) >> 24) & 0xff, ((a) >> 16) & 0xff, ((a) >> 8) & 0xff, (a) & 0xff,	\
		     ((b) >> 8) & 0xff, (b) & 0xff, ((c) >> 8) & 0xff, (c) & 0xff,		\
		     d0, d1, d2, d3, d4, d5, d6, d7 } })
#define GUID_INIT(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)				\
	((guid_t){ { (a) & 0xff, ((a) >> 8) & 0xff, ((a) >> 16) & 0xff, ((a) >> 24) & 0xff,	\
		     (b) & 0xff, ((b) >> 8) & 0xff, (c) & 0xff, ((c) >> 8) & 0xff,		\
		     d0, d1, d2, d3, d4, d5, d6, d7 } })

#define uuid_null UUID_INIT(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
#define guid_null GUID_INIT(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

static inline bool uuid_equal(const uuid_t *u1, const uuid_t *u2)
{
	return memcmp(u1, u2, sizeof(*u1)) == 0;
}

static inline void uuid_copy(uuid_t *dst, const uuid_t *src)
{
	memcpy(dst, src, sizeof(*dst));
}

static inline void import_uuid(uuid_t *dst, const __u8 *src)
{
	memcpy(dst, src, sizeof(*dst));
}

static inline void export_uuid(__u8 *dst, const uuid_t *src)
{
	memcpy(dst, src, sizeof(*src));
}

static inline bool uuid_is_null(const uuid_t *uuid)
{
	return !memchr_inv(uuid, 0, sizeof(*uuid));
}

static inline bool guid_equal(const guid_t *u1, const guid_t *u2)
{
	return memcmp(u1, u2, sizeof(*u1)) == 0;
}

static inline void guid_copy(guid_t *dst, const guid_t *src)
{
	memcpy(dst, src, sizeof(*dst));
}

static inline void import_guid(guid_t *dst, const __u8 *src)
{
	memcpy(dst, src, sizeof(*dst));
}

static inline void export_guid(__u8 *dst, const guid_t *src)
{
	memcpy(dst, src, sizeof(*src));
}

static inline bool guid_is_null(const guid_t *guid)
{
	return !memchr_inv(guid, 0, sizeof(*guid));
}

/* any context */
void uuid_gen(uuid_t *u);
void guid_gen(guid_t *u);
void generate_random_uuid(unsigned char uuid[UUID_SIZE]);
void generate_random_guid(unsigned char guid[UUID_SIZE]);
bool uuid_is_valid(const char *uuid);
int uuid_parse(const char *uuid, uuid_t *u);
int guid_parse(const char *uuid, guid_t *u);

#endif
