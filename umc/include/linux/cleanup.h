/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Actions at the end of a scope: freeing, unlocking (API of 6.12).
 * Rust owner: none, compile-time only.
 */
#ifndef UMC_LINUX_CLEANUP_H
#define UMC_LINUX_CLEANUP_H

#include <linux/compiler.h>

/* A function named for the cleanup attribute; `free` is code over `_T`, the variable. */
#define DEFINE_FREE(name, type, free)                                                         \
	static inline void __free_##name(void *p)                                             \
	{                                                                                     \
		type _T = *(type *)p;                                                         \
		free;                                                                         \
	}
#define __free(name) __cleanup(__free_##name)

/* Takes the pointer out of a variable, so that its cleanup finds NULL. */
#define __get_and_null(p, nullvalue)                                                          \
	({                                                                                    \
		__auto_type umc_var_ = &(p);                                                  \
		__auto_type umc_taken_ = *umc_var_;                                           \
		*umc_var_ = nullvalue;                                                        \
		umc_taken_;                                                                   \
	})

static inline __must_check const volatile void *__must_check_fn(const volatile void *value)
{
	return value;
}

#define no_free_ptr(p) ((typeof(p))__must_check_fn(__get_and_null(p, NULL)))
#define return_ptr(p) return no_free_ptr(p)
#define retain_and_null_ptr(p) ((void)__get_and_null(p, NULL))

#define DEFINE_CLASS(name, type, exit, init, init_args...)                                    \
	typedef type class_##name##_t;                                                        \
	static inline void class_##name##_destructor(type *p)                                 \
	{                                                                                     \
		type _T = *p;                                                                 \
		exit;                                                                         \
	}                                                                                     \
	static inline type class_##name##_constructor(init_args)                              \
	{                                                                                     \
		type t = init;                                                                \
		return t;                                                                     \
	}
#define CLASS(name, var)                                                                      \
	class_##name##_t var __cleanup(class_##name##_destructor) = class_##name##_constructor

/* Locks that a scope holds: guard(mutex)(&lock); scoped_guard(mutex, &lock) { … } */
#define DEFINE_GUARD(name, type, do_lock, do_unlock)                                          \
	DEFINE_CLASS(name, type, if (_T) { do_unlock; }, ({ do_lock; _T; }), type _T)         \
	static inline void *class_##name##_lock_ptr(class_##name##_t *guard)                  \
	{                                                                                     \
		return (void *)(unsigned long)*guard;                                         \
	}
#define DEFINE_LOCK_GUARD_1(name, type, do_lock, do_unlock, members...)                       \
	typedef struct {                                                                      \
		type *lock;                                                                   \
		members;                                                                      \
	} class_##name##_t;                                                                   \
	static inline void class_##name##_destructor(class_##name##_t *_T)                    \
	{                                                                                     \
		if (_T->lock) {                                                               \
			do_unlock;                                                            \
		}                                                                             \
	}                                                                                     \
	static inline void *class_##name##_lock_ptr(class_##name##_t *_T)                     \
	{                                                                                     \
		return _T->lock;                                                              \
	}                                                                                     \
	static inline class_##name##_t class_##name##_constructor(type *l)                    \
	{                                                                                     \
		class_##name##_t umc_guard_ = { .lock = l }, *_T = &umc_guard_;               \
		do_lock;                                                                      \
		return umc_guard_;                                                            \
	}
#define DEFINE_LOCK_GUARD_0(name, do_lock, do_unlock, members...)                             \
	typedef struct {                                                                      \
		void *lock;                                                                   \
		members;                                                                      \
	} class_##name##_t;                                                                   \
	static inline void class_##name##_destructor(class_##name##_t *_T)                    \
	{                                                                                     \
		if (_T->lock) {                                                               \
			do_unlock;                                                            \
		}                                                                             \
	}                                                                                     \
	static inline void *class_##name##_lock_ptr(class_##name##_t *_T)                     \
	{                                                                                     \
		return _T->lock;                                                              \
	}                                                                                     \
	static inline class_##name##_t class_##name##_constructor(void)                       \
	{                                                                                     \
		class_##name##_t umc_guard_ = { .lock = (void *)1 }, *_T = &umc_guard_;       \
		(void)_T;                                                                     \
		do_lock;                                                                      \
		return umc_guard_;                                                            \
	}
#define guard(name) CLASS(name, __UNIQUE_ID(guard_))
#define __guard_ptr(name) class_##name##_lock_ptr
#define scoped_class(name, var, args...)                                                      \
	for (CLASS(name, var)(args), *umc_once_ = NULL; !umc_once_; umc_once_ = (void *)1)
#define scoped_guard(name, args...)                                                           \
	for (CLASS(name, umc_scope_)(args), *umc_once_ = NULL;                                \
	     !umc_once_ && __guard_ptr(name)(&umc_scope_); umc_once_ = (void *)1)

#endif
