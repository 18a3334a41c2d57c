/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of gcc and clang under their kernel names (API of 6.12).
 * Differs from Linux: the sanitizer and stack-checker attributes are empty, a module is ordinary code here.
 * Rust owner: none, compile-time only.
 */
#ifndef UMC_LINUX_COMPILER_ATTRIBUTES_H
#define UMC_LINUX_COMPILER_ATTRIBUTES_H

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif

#define __alias(symbol) __attribute__((__alias__(#symbol)))
#define __aligned(n) __attribute__((__aligned__(n)))
#define __aligned_largest __attribute__((__aligned__))
#define __alloc_size__(...) __attribute__((__alloc_size__(__VA_ARGS__)))
#define __alloc_size(...) __attribute__((__alloc_size__(__VA_ARGS__)))
#define __realloc_size(...)
#define __always_inline inline __attribute__((__always_inline__))
#define __assume_aligned(...) __attribute__((__assume_aligned__(__VA_ARGS__)))
#define __attribute_const__ __attribute__((__const__))
#define __always_unused __attribute__((__unused__))
#define __maybe_unused __attribute__((__unused__))
#define __cleanup(function) __attribute__((__cleanup__(function)))
#define __cold __attribute__((__cold__))
#define __copy(symbol)
/* Bounds of flexible arrays are for the compilers' own checks; gcc 12 and clang 14 have none. */
#define __counted_by(member)
#define __deprecated
#define __designated_init
#define __diagnose_as(...)
#define __flatten __attribute__((__flatten__))
#define __gnu_inline __attribute__((__gnu_inline__))
#define __malloc __attribute__((__malloc__))
#define __mode(mode) __attribute__((__mode__(mode)))
#define __must_check __attribute__((__warn_unused_result__))
#define __noclone
#define __noreturn __attribute__((__noreturn__))
#define __no_caller_saved_registers
#define __no_profile
#define __no_sanitize(...)
#define __no_stack_protector
#define __nonstring __attribute__((__nonstring__))
#define __overloadable
#define __packed __attribute__((__packed__))
#define __pass_dynamic_object_size(type)
#define __pass_object_size(type)
#define __printf(format, first) __attribute__((__format__(printf, format, first)))
#define __pure __attribute__((__pure__))
#define __scanf(format, first) __attribute__((__format__(scanf, format, first)))
#define __section(name) __attribute__((__section__(name)))
#define __uninitialized
#define __used __attribute__((__used__))
#define __always_used __used __maybe_unused
#define __visible __attribute__((__externally_visible__))
#define __weak __attribute__((__weak__))
#define __fix_address
#define noinline __attribute__((__noinline__))

#if __has_attribute(__fallthrough__)
#define fallthrough __attribute__((__fallthrough__))
#else
#define fallthrough do { } while (0)
#endif

#ifdef __clang__
#undef __visible
#define __visible
#undef __nonstring
#define __nonstring
#endif

#endif
