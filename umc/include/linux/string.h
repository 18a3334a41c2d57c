/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strings and memory (API of 6.12). Functions that mean the same in libc are libc's.
 * Rust owner: `string.rs`.
 */
#ifndef UMC_LINUX_STRING_H
#define UMC_LINUX_STRING_H

#include <linux/args.h>
#include <linux/array_size.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/stdarg.h>
#include <linux/stddef.h>
#include <linux/types.h>

/* libc's. */
extern void *memset(void *s, int c, size_t n);
extern void *memcpy(void *dst, const void *src, size_t n);
extern void *memmove(void *dst, const void *src, size_t n);
extern int memcmp(const void *a, const void *b, size_t n);
extern int bcmp(const void *a, const void *b, size_t n);
extern void *memchr(const void *s, int c, size_t n);
extern size_t strlen(const char *s);
extern size_t strnlen(const char *s, size_t n);
extern char *strcpy(char *dst, const char *src);
extern char *strncpy(char *dst, const char *src, size_t n);
extern char *strcat(char *dst, const char *src);
extern char *strncat(char *dst, const char *src, size_t n);
extern int strcmp(const char *a, const char *b);
extern int strncmp(const char *a, const char *b, size_t n);
extern int strcasecmp(const char *a, const char *b);
extern int strncasecmp(const char *a, const char *b, size_t n);
extern char *strchr(const char *s, int c);
extern char *strrchr(const char *s, int c);
extern char *strchrnul(const char *s, int c);
extern char *strstr(const char *s, const char *needle);
extern char *strpbrk(const char *s, const char *accept);
extern char *strsep(char **stringp, const char *delim);
extern size_t strspn(const char *s, const char *accept);
extern size_t strcspn(const char *s, const char *reject);

/* Ours. strlcat is also in newer libcs, with the same meaning. */
extern size_t strlcat(char *dst, const char *src, size_t size) __asm__("umc_strlcat");
extern ssize_t sized_strscpy(char *dst, const char *src, size_t size);
extern ssize_t umc_strscpy_pad(char *dst, const char *src, size_t size);
extern char *strnchr(const char *s, size_t n, int c);
extern char *strnchrnul(const char *s, size_t n, int c);
extern char *strnstr(const char *s, const char *needle, size_t n);
extern char *skip_spaces(const char *s);
extern char *strim(char *s);
extern char *strreplace(char *s, char old, char replacement);
extern bool sysfs_streq(const char *a, const char *b);
extern int match_string(const char *const *array, size_t n, const char *wanted);
extern int __sysfs_match_string(const char *const *array, size_t n, const char *wanted);
extern void *memchr_inv(const void *s, int c, size_t n);
extern void *memscan(void *s, int c, size_t n);
extern size_t memweight(const void *s, size_t n);
extern void *memset16(u16 *s, u16 v, size_t n);
extern void *memset32(u32 *s, u32 v, size_t n);
extern void *memset64(u64 *s, u64 v, size_t n);
extern void memcpy_and_pad(void *dst, size_t dst_len, const void *src, size_t count, int pad);

/* Copies in memory of kmalloc, NULL when there is none; the caller calls kfree. */
extern char *kstrdup(const char *s, gfp_t gfp) __malloc;
extern const char *kstrdup_const(const char *s, gfp_t gfp);
extern char *kstrndup(const char *s, size_t max, gfp_t gfp);
extern void *kmemdup(const void *src, size_t len, gfp_t gfp);
extern void *kmemdup_array(const void *src, size_t count, size_t element_size, gfp_t gfp);
extern void *kvmemdup(const void *src, size_t len, gfp_t gfp);
extern char *kmemdup_nul(const char *s, size_t len, gfp_t gfp);
extern void kfree_const(const void *x);
extern char **argv_split(gfp_t gfp, const char *str, int *argcp);
extern void argv_free(char **argv);

/* Numbers and ranges in lists of options. */
extern int get_option(char **str, int *pint);
extern char *get_options(const char *str, int nints, int *ints);
extern unsigned long long memparse(const char *ptr, char **retptr);
extern bool parse_option_str(const char *str, const char *option);

/* strscpy(dst, src[, size]): the length, or -E2BIG when it was cut. Without a size `dst` is an array. */
#define UMC_STRSCPY_0(function, dst, src) \
	function(dst, src, sizeof(dst) + __must_be_array(dst))
#define UMC_STRSCPY_1(function, dst, src, size) function(dst, src, size)
#define strscpy(dst, src, ...)                                                                \
	CONCATENATE(UMC_STRSCPY_, COUNT_ARGS(__VA_ARGS__))                                    \
	(sized_strscpy, dst, src, ##__VA_ARGS__)
#define strscpy_pad(dst, src, ...)                                                            \
	CONCATENATE(UMC_STRSCPY_, COUNT_ARGS(__VA_ARGS__))                                    \
	(umc_strscpy_pad, dst, src, ##__VA_ARGS__)

/* Between strings and fixed arrays that need no final zero. */
#define strtomem_pad(dst, src, pad) \
	memcpy_and_pad(dst, sizeof(dst) + __must_be_array(dst), src, strnlen(src, sizeof(dst)), pad)
#define strtomem(dst, src) \
	((void)memcpy(dst, src, umin(sizeof(dst) + __must_be_array(dst), strnlen(src, sizeof(dst)))))
#define memtostr(dst, src)                                                                    \
	do {                                                                                  \
		size_t umc_len_ = strnlen(src, sizeof(src) + __must_be_array(src));           \
		if (umc_len_ > sizeof(dst) - 1)                                               \
			umc_len_ = sizeof(dst) - 1;                                           \
		memcpy(dst, src, umc_len_);                                                   \
		(dst)[umc_len_] = '\0';                                                       \
	} while (0)
#define memset_after(obj, v, member)                                                          \
	({                                                                                    \
		typeof(obj) umc_obj_ = (obj);                                                 \
		memset((u8 *)umc_obj_ + offsetofend(typeof(*(obj)), member), v,               \
		       sizeof(*(obj)) - offsetofend(typeof(*(obj)), member));                 \
	})
#define memset_startat(obj, v, member)                                                        \
	({                                                                                    \
		typeof(obj) umc_obj_ = (obj);                                                 \
		memset((u8 *)umc_obj_ + offsetof(typeof(*(obj)), member), v,                  \
		       sizeof(*(obj)) - offsetof(typeof(*(obj)), member));                    \
	})
#define sysfs_match_string(array, string) __sysfs_match_string(array, ARRAY_SIZE(array), string)
#define unsafe_memcpy(dst, src, bytes, justification) memcpy(dst, src, bytes)

static inline char *strstrip(char *s)
{
	return strim(s);
}

static inline bool strstarts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static __always_inline size_t str_has_prefix(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) == 0 ? len : 0;
}

static inline bool mem_is_zero(const void *s, size_t n)
{
	return !memchr_inv(s, 0, n);
}

static inline const char *kbasename(const char *path)
{
	const char *tail = strrchr(path, '/');

	return tail ? tail + 1 : path;
}

/* The compiler cannot leave this one out. */
static inline void memzero_explicit(void *s, size_t count)
{
	memset(s, 0, count);
	barrier_data(s);
}

static inline void *memset_l(unsigned long *s, unsigned long v, size_t n)
{
	return memset64((u64 *)s, v, n);
}

static inline void *memset_p(void **s, void *v, size_t n)
{
	return memset64((u64 *)s, (unsigned long)v, n);
}

static inline void memcpy_flushcache(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
}

#endif
