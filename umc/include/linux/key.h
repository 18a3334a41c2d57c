/* SPDX-License-Identifier: GPL-2.0-only */
/* Keys (API of Linux 6.12): the types that other interfaces pass through; there is no key ring. */
#ifndef UMC_LINUX_KEY_H
#define UMC_LINUX_KEY_H

#include <linux/err.h>
#include <linux/types.h>

typedef int32_t key_serial_t;
typedef uint32_t key_perm_t;

/* umc: handle */
struct key;

/* A pointer to a key and, in its lowest bit, whether the ring that it was found in is the caller's own. */
typedef struct __key_reference_with_attributes *key_ref_t;

/* A key by its number: there is none. */
static inline struct key *key_lookup(key_serial_t id)
{
	return ERR_PTR(-ENOKEY);
}

static inline void key_put(struct key *key)
{
}

static inline key_serial_t key_serial(const struct key *key)
{
	return 0;
}

/* Declared for drivers that look how it is called: nobody provides it. */
extern key_ref_t lookup_user_key(key_serial_t id, unsigned long lflags, unsigned int need_perm);

#endif
