/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The functions of the exec family that take a program's arguments as their own: each makes the vector that its
 * sister takes, on the stack, since it may run between fork and exec. exec.rs exports them under their names.
 */
#include <stdarg.h>
#include <unistd.h>

/* How many arguments follow `first`, which counts, up to the NULL. */
static size_t count(const char *first, va_list *list)
{
	size_t n = 0;

	for (const char *next = first; next; next = va_arg(*list, const char *))
		n++;
	return n;
}

/* The same arguments with the NULL into `argv`. */
static void fill(char **argv, size_t n, const char *first, va_list *list)
{
	argv[0] = (char *)first;
	for (size_t i = 1; i <= n; i++)
		argv[i] = va_arg(*list, char *);
}

/* Declares `argv` with the arguments of the function, and `list` behind the NULL. */
#define ARGV(first)				\
	va_list list;				\
	va_start(list, first);			\
	const size_t n = count(first, &list);	\
	va_end(list);				\
	char *argv[n + 1];			\
	va_start(list, first);			\
	fill(argv, n, first, &list)

int umc_execl(const char *path, const char *first, ...)
{
	ARGV(first);
	va_end(list);
	return execv(path, argv);
}

int umc_execlp(const char *file, const char *first, ...)
{
	ARGV(first);
	va_end(list);
	return execvp(file, argv);
}

int umc_execle(const char *path, const char *first, ...)
{
	ARGV(first);
	char *const *envp = va_arg(list, char *const *);
	va_end(list);
	return execve(path, argv, envp);
}
