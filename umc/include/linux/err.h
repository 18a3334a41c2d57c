/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Errors inside pointers: the last page of addresses stands for negative error numbers (API of 6.12).
 * Rust owner: `errno.rs` (`err_ptr`).
 */
#ifndef UMC_LINUX_ERR_H
#define UMC_LINUX_ERR_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/errno.h>

#define MAX_ERRNO 4095
#define IS_ERR_VALUE(x) unlikely((unsigned long)(void *)(x) >= (unsigned long)-MAX_ERRNO)

static inline void *__must_check ERR_PTR(long error)
{
	return (void *)error;
}

static inline long __must_check PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool __must_check IS_ERR(const void *ptr)
{
	return IS_ERR_VALUE((unsigned long)ptr);
}

static inline bool __must_check IS_ERR_OR_NULL(const void *ptr)
{
	return !ptr || IS_ERR(ptr);
}

static inline void *__must_check ERR_CAST(const void *ptr)
{
	return (void *)ptr;
}

static inline int __must_check PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0;
}

#define ERR_PTR_PCPU(error) ((void *)ERR_PTR(error))
#define PTR_ERR_PCPU(ptr) PTR_ERR(ptr)
#define IS_ERR_PCPU(ptr) IS_ERR(ptr)

#endif
