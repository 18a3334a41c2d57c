/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lock validator. API of Linux 6.12 without CONFIG_LOCKDEP: annotations that cost nothing and check nothing.
 * What is checked instead: recursion and ownership of mutexes and spinlocks, sleeping while atomic.
 */
#ifndef UMC_LINUX_LOCKDEP_H
#define UMC_LINUX_LOCKDEP_H

#include <linux/lockdep_types.h>
#include <linux/types.h>

#define SINGLE_DEPTH_NESTING 1

#define lockdep_is_held(lock) ((void)(lock), 1)
#define lockdep_is_held_type(lock, type) ((void)(lock), 1)
#define lock_is_held(map) ((void)(map), 1)
#define lockdep_off() do { } while (0)
#define lockdep_on() do { } while (0)
#define lockdep_assert(cond) do { } while (0)
#define lockdep_assert_once(cond) do { } while (0)
#define lockdep_assert_held(lock) do { (void)(lock); } while (0)
#define lockdep_assert_not_held(lock) do { (void)(lock); } while (0)
#define lockdep_assert_held_write(lock) do { (void)(lock); } while (0)
#define lockdep_assert_held_read(lock) do { (void)(lock); } while (0)
#define lockdep_assert_held_once(lock) do { (void)(lock); } while (0)
#define lockdep_assert_none_held_once() do { } while (0)
#define lockdep_assert_irqs_disabled() do { } while (0)
#define lockdep_assert_irqs_enabled() do { } while (0)
#define lockdep_assert_in_softirq() do { } while (0)
#define lockdep_assert_preemption_disabled() do { } while (0)
#define lockdep_assert_RT_in_threaded_ctx() do { } while (0)

#define lockdep_register_key(key) do { (void)(key); } while (0)
#define lockdep_unregister_key(key) do { (void)(key); } while (0)
#define lockdep_init_map(map, name, key, subclass) \
	do { (void)(map); (void)(name); (void)(key); } while (0)
#define lockdep_set_class(lock, key) do { (void)(lock); (void)(key); } while (0)
#define lockdep_set_class_and_name(lock, key, name) \
	do { (void)(lock); (void)(key); (void)(name); } while (0)
#define lockdep_set_subclass(lock, sub) do { (void)(lock); } while (0)
#define lockdep_set_novalidate_class(lock) do { (void)(lock); } while (0)
#define lockdep_init_map_waits lockdep_init_map
/* Not looked at: a lock has no map. */
#define lock_set_cmp_fn(lock, ...) do { } while (0)
#define lock_set_subclass(map, sub, ip) do { } while (0)
#define lock_set_class(map, name, key, sub, ip) do { } while (0)
#define lock_acquire(map, sub, try, read, check, nest, ip) do { } while (0)
#define lock_release(map, ip) do { } while (0)
#define lock_map_acquire(map) do { (void)(map); } while (0)
#define lock_map_acquire_read(map) do { (void)(map); } while (0)
#define lock_map_release(map) do { (void)(map); } while (0)
#define rwsem_acquire(map, sub, try, ip) do { (void)(map); } while (0)
#define rwsem_release(map, ip) do { (void)(map); } while (0)
#define mutex_acquire(map, sub, try, ip) do { (void)(map); } while (0)
#define mutex_release(map, ip) do { (void)(map); } while (0)
#define might_lock(lock) do { (void)(lock); } while (0)
#define might_lock_read(lock) do { (void)(lock); } while (0)
#define might_lock_nested(lock, sub) do { (void)(lock); } while (0)
#define STATIC_LOCKDEP_MAP_INIT(name, key) { }

#endif
