/* SPDX-License-Identifier: GPL-2.0-only */
/* Branches that are seldom switched. API of 6.12; each is a counter that is read. */
#ifndef UMC_LINUX_JUMP_LABEL_H
#define UMC_LINUX_JUMP_LABEL_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

struct static_key {
	atomic_t enabled;
};

struct static_key_true {
	struct static_key key;
};

struct static_key_false {
	struct static_key key;
};

#define STATIC_KEY_INIT_TRUE	{ .enabled = ATOMIC_INIT(1) }
#define STATIC_KEY_INIT_FALSE	{ .enabled = ATOMIC_INIT(0) }
#define STATIC_KEY_TRUE_INIT	((struct static_key_true){ .key = STATIC_KEY_INIT_TRUE })
#define STATIC_KEY_FALSE_INIT	((struct static_key_false){ .key = STATIC_KEY_INIT_FALSE })
#define DEFINE_STATIC_KEY_TRUE(name)	struct static_key_true name = STATIC_KEY_TRUE_INIT
#define DEFINE_STATIC_KEY_FALSE(name)	struct static_key_false name = STATIC_KEY_FALSE_INIT
#define DECLARE_STATIC_KEY_TRUE(name)	extern struct static_key_true name
#define DECLARE_STATIC_KEY_FALSE(name)	extern struct static_key_false name

static inline int static_key_count(struct static_key *key)
{
	return atomic_read(&key->enabled);
}

#define static_key_enabled(x)		(atomic_read(&((struct static_key *)(x))->enabled) > 0)
#define static_branch_likely(x)		likely(static_key_enabled(x))
#define static_branch_unlikely(x)	unlikely(static_key_enabled(x))
#define static_branch_inc(x)		atomic_inc(&((struct static_key *)(x))->enabled)
#define static_branch_dec(x)		atomic_dec(&((struct static_key *)(x))->enabled)
#define static_branch_enable(x)		atomic_set(&((struct static_key *)(x))->enabled, 1)
#define static_branch_disable(x)	atomic_set(&((struct static_key *)(x))->enabled, 0)

#endif
