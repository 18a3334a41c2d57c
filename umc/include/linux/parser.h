/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options in texts, by patterns such as "size=%d" (API of Linux 6.12).
 * Differs: nothing.
 * Owner: umc/src/mm/parser.rs
 */
#ifndef UMC_LINUX_PARSER_H
#define UMC_LINUX_PARSER_H

#include <linux/types.h>

/* umc: shared */
struct match_token {
	int token;
	const char *pattern;
};

/* Ends with a pattern NULL, which is what anything matches. */
typedef struct match_token match_table_t[];

/* Arguments of a pattern at most. */
#define MAX_OPT_ARGS 3

/* umc: shared */
typedef struct {
	char *from;
	char *to;
} substring_t;

/* any context */
int match_token(char *s, const struct match_token *table, substring_t args[]);
int match_int(substring_t *s, int *result);
int match_uint(substring_t *s, unsigned int *result);
int match_u64(substring_t *s, u64 *result);
int match_octal(substring_t *s, int *result);
int match_hex(substring_t *s, int *result);
size_t match_strlcpy(char *dest, const substring_t *src, size_t size);

/* may sleep */
char *match_strdup(const substring_t *s);

#endif
