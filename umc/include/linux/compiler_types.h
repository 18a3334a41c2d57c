/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Annotations and helpers of the compiler that every file sees: this header is force-included (API of 6.12).
 * Differs from Linux: `kmap_local_page` and `kunmap_local` are declared here, so that a file without any
 * include can use them. Annotations of sparse are empty.
 * Rust owner: none, compile-time only.
 */
#ifndef UMC_LINUX_COMPILER_TYPES_H
#define UMC_LINUX_COMPILER_TYPES_H

#ifndef __ASSEMBLY__

#include <linux/compiler_attributes.h>

#ifndef __has_builtin
#define __has_builtin(x) 0
#endif
#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* Sparse. */
#define __kernel
#define __user
#define __iomem
#define __percpu
#define __rcu
#define __safe
#define __force
#define __nocast
#define __private
#define ACCESS_PRIVATE(p, member) ((p)->member)
#define __chk_user_ptr(x) ((void)0)
#define __chk_io_ptr(x) ((void)0)
#define __builtin_warning(x, ...) (1)
#define __must_hold(x)
#define __acquires(x)
#define __cond_acquires(x)
#define __releases(x)
#define __acquire(x) ((void)0)
#define __release(x) ((void)0)
#define __cond_lock(x, c) (c)
#define __context_unsafe(x)

#define UMC_PASTE(a, b) a##b
#define ___PASTE(a, b) UMC_PASTE(a, b)
#define __PASTE(a, b) UMC_PASTE(a, b)

#define inline inline __attribute__((__gnu_inline__, __unused__))
#define __inline inline
#define __inline__ inline
#define __inline_maybe_unused
#define asmlinkage
#define notrace
#define __naked __attribute__((__naked__))
#define noinline_for_stack noinline
#define noinstr noinline
#define __cpuidle
#define __no_kasan_or_inline inline
#define __no_kcsan
#define __no_sanitize_address
#define __no_sanitize_or_inline inline
#define __no_sanitize_undefined
#define __no_sanitize_memory
#define __no_sanitize_thread
#define __no_kmsan_checks
#define __no_randomize_layout
#define __randomize_layout
#define __latent_entropy
#define __noscs
#define __nocfi
#define __no_kprobes
#define nokprobe_inline __always_inline
#define __function_aligned
#define randomized_struct_fields_start struct {
#define randomized_struct_fields_end };
#define asm_volatile_goto(...) asm volatile goto(__VA_ARGS__)
#define asm_goto_output(...) asm volatile goto(__VA_ARGS__)
#define asm_inline asm

#define __counted_by_le(member) __counted_by(member)
#define __counted_by_be(member) __counted_by(member)
#define __struct_size(p) __builtin_object_size(p, 0)
#define __member_size(p) __builtin_object_size(p, 1)
#define __annotated(var, attr) (0)

#define __same_type(a, b) __builtin_types_compatible_p(typeof(a), typeof(b))

/* The type of `x` without const and volatile where it is a number; any other type stays as it is. */
#define UMC_UNQUAL_PAIR(type) unsigned type: (unsigned type)0, signed type: (signed type)0
#define __unqual_scalar_typeof(x)                                                             \
	typeof(_Generic((x), char: (char)0, _Bool: (_Bool)0, UMC_UNQUAL_PAIR(char),           \
			UMC_UNQUAL_PAIR(short), UMC_UNQUAL_PAIR(int), UMC_UNQUAL_PAIR(long),  \
			UMC_UNQUAL_PAIR(long long), default: (x)))

#define __native_word(t)                                                                      \
	(sizeof(t) == 1 || sizeof(t) == 2 || sizeof(t) == sizeof(int) || sizeof(t) == sizeof(long))

#ifdef __clang__
#define __compiletime_error(message)
#define __compiletime_warning(message)
#else
#define __compiletime_error(message) __attribute__((__error__(message)))
#define __compiletime_warning(message) __attribute__((__warning__(message)))
#endif
#define __compiletime_object_size(object) __builtin_object_size(object, 0)

/* Refuses to compile when the optimizer can tell that `condition` is false. */
#define UMC_COMPILETIME_ASSERT(condition, message, name)                                      \
	do {                                                                                  \
		extern void name(void) __compiletime_error(message);                          \
		if (!(condition))                                                             \
			name();                                                               \
	} while (0)
#if defined(__OPTIMIZE__) && !defined(__clang__)
#define compiletime_assert(condition, message)                                                \
	UMC_COMPILETIME_ASSERT(condition, message, __PASTE(__compiletime_assert_, __COUNTER__))
#else
#define compiletime_assert(condition, message) do { (void)sizeof(condition); } while (0)
#endif
#define compiletime_assert_atomic_type(t)                                                     \
	compiletime_assert(__native_word(t), "a type that has no atomic access")

#define __diag_push()
#define __diag_pop()
#define __diag_ignore(compiler, version, option, comment)
#define __diag_warn(compiler, version, option, comment)
#define __diag_error(compiler, version, option, comment)
#define __diag_ignore_all(option, comment)

/* Some drivers use these two without any include. The bodies, always inlined, are in linux/highmem-internal.h. */
struct page;
extern void *kmap_local_page(struct page *page);
extern void kunmap_local(const void *address);

#endif /* __ASSEMBLY__ */

#endif
