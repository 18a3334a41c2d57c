/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Formatted text as the kernel writes it, and the other variadic functions of linux/printk.h, linux/bug.h and
 * linux/panic.h. Only the walk over the arguments is here; pointers go to umc/src/lib/string/pointer.rs.
 * Differs from C: `%p` takes letters, `%n` and floating point are unknown, a zero flag fills beside a precision.
 */

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A message that is longer goes through memory of its own. */
#define MESSAGE_LEN 1024

#define FLAG_LEFT 1
#define FLAG_PLUS 2
#define FLAG_SPACE 4
#define FLAG_SPECIAL 8
#define FLAG_ZERO 16

struct va_format {
	const char *fmt;
	va_list *va;
};

struct out {
	char *buf;
	size_t size;
	/* Length of the whole text, whether or not it fits. */
	size_t len;
};

struct spec {
	int flags;
	int width;     /* -1: none */
	int precision; /* -1: none */
	char size;     /* 'H' for hh, 'h', 'l', 'L' for ll, 'z', 't', 0 */
	char type;
};

/* umc/src/lib/string/pointer.rs */
extern void umc_format_pointer(void *out, const void *ptr, const char *ext, size_t ext_len, int width,
			       int precision, int flags);
/* umc/src/sched/printk.rs, umc/src/sched/bug.rs */
extern void umc_printk_emit(const char *text, size_t len);
extern void umc_warn_text(const char *file, int line, const char *function, const char *text, size_t len);
extern void umc_panic_text(const char *text, size_t len) __attribute__((noreturn));
/* umc/src/mm/slab.rs */
extern void *kmalloc(size_t size, unsigned int flags);

int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);

static void put(struct out *out, char c)
{
	if (out->len < out->size)
		out->buf[out->len] = c;
	out->len++;
}

static void fill(struct out *out, char c, long count)
{
	while (count-- > 0)
		put(out, c);
}

static void put_bytes(struct out *out, const char *text, size_t len)
{
	if (out->len < out->size)
		memcpy(out->buf + out->len, text, len < out->size - out->len ? len : out->size - out->len);
	out->len += len;
}

void umc_printf_text(void *out, const char *text, size_t len, int width, int precision, int flags)
{
	if (precision >= 0 && len > (size_t)precision)
		len = precision;
	if (!(flags & FLAG_LEFT))
		fill(out, ' ', width - (long)len);
	put_bytes(out, text, len);
	if (flags & FLAG_LEFT)
		fill(out, ' ', width - (long)len);
}

static void format_number(struct out *out, unsigned long long value, int negative, const struct spec *spec)
{
	const char *symbols = spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned int base = spec->type == 'o' ? 8 : spec->type == 'x' || spec->type == 'X' ? 16 : 10;
	int has_sign = spec->type == 'd' || spec->type == 'i';
	int zero = value == 0;
	char digits[24], prefix[4];
	int ndigits = 0, nprefix = 0;
	long pad;

	do {
		digits[ndigits++] = symbols[value % base];
		value /= base;
	} while (value);
	if (negative)
		prefix[nprefix++] = '-';
	else if (has_sign && spec->flags & FLAG_PLUS)
		prefix[nprefix++] = '+';
	else if (has_sign && spec->flags & FLAG_SPACE)
		prefix[nprefix++] = ' ';
	if (spec->flags & FLAG_SPECIAL && base != 10) {
		if (base == 16 || !zero)
			prefix[nprefix++] = '0';
		if (base == 16)
			prefix[nprefix++] = spec->type;
	}
	pad = spec->width - nprefix - (spec->precision > ndigits ? spec->precision : ndigits);
	if (!(spec->flags & (FLAG_ZERO | FLAG_LEFT)))
		fill(out, ' ', pad);
	put_bytes(out, prefix, nprefix);
	if (spec->flags & FLAG_ZERO && !(spec->flags & FLAG_LEFT))
		fill(out, '0', pad);
	fill(out, '0', (long)spec->precision - ndigits);
	while (ndigits)
		put(out, digits[--ndigits]);
	if (spec->flags & FLAG_LEFT)
		fill(out, ' ', pad);
}

static void format_string(struct out *out, const char *text, const struct spec *spec)
{
	int precision = spec->precision;

	if ((uintptr_t)text < 4096 || (uintptr_t)text >= (uintptr_t)-4095) {
		text = text ? "(efault)" : "(null)";
		precision = -1;
	}
	umc_printf_text(out, text, precision < 0 ? strlen(text) : strnlen(text, precision), spec->width, -1,
			spec->flags);
}

static int is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void format_pointer(struct out *out, const void *ptr, const char *ext, size_t ext_len,
			   const struct spec *spec)
{
	if (ext_len && *ext == 'V') {
		const struct va_format *nested = ptr;
		va_list args;
		size_t room = out->len < out->size ? out->size - out->len : 0;

		va_copy(args, *nested->va);
		out->len += (size_t)umc_vsnprintf(room ? out->buf + out->len : NULL, room, nested->fmt, args);
		va_end(args);
		return;
	}
	umc_format_pointer(out, ptr, ext, ext_len, spec->width, spec->precision, spec->flags);
}

/* A decimal number of the format, bounded. */
static int parse_int(const char **fmt)
{
	int value = 0;

	for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++)
		if (value < 100000)
			value = value * 10 + (**fmt - '0');
	return value;
}

static const char *parse_spec(const char *fmt, struct spec *spec, va_list *args)
{
	*spec = (struct spec){ .width = -1, .precision = -1 };
	for (;; fmt++) {
		if (*fmt == '-')
			spec->flags |= FLAG_LEFT;
		else if (*fmt == '+')
			spec->flags |= FLAG_PLUS;
		else if (*fmt == ' ')
			spec->flags |= FLAG_SPACE;
		else if (*fmt == '#')
			spec->flags |= FLAG_SPECIAL;
		else if (*fmt == '0')
			spec->flags |= FLAG_ZERO;
		else
			break;
	}
	if (*fmt == '*') {
		fmt++;
		spec->width = va_arg(*args, int);
		if (spec->width < 0) {
			spec->flags |= FLAG_LEFT;
			spec->width = spec->width == INT_MIN ? 0 : -spec->width;
		}
	} else if (*fmt >= '0' && *fmt <= '9') {
		spec->width = parse_int(&fmt);
	}
	if (*fmt == '.') {
		fmt++;
		if (*fmt == '*') {
			fmt++;
			spec->precision = va_arg(*args, int);
			if (spec->precision < 0)
				spec->precision = -1;
		} else {
			spec->precision = parse_int(&fmt);
		}
	}
	switch (*fmt) {
	case 'h':
	case 'l':
		spec->size = *fmt++;
		if (*fmt == spec->size) {
			fmt++;
			spec->size = spec->size == 'h' ? 'H' : 'L';
		}
		break;
	case 'q':
	case 'L':
		fmt++;
		spec->size = 'L';
		break;
	case 'Z':
	case 'z':
		fmt++;
		spec->size = 'z';
		break;
	case 't':
		spec->size = *fmt++;
		break;
	}
	spec->type = *fmt;
	return *fmt ? fmt + 1 : fmt;
}

static void format_integer(struct out *out, const struct spec *spec, va_list *args)
{
	int is_signed = spec->type == 'd' || spec->type == 'i';
	unsigned long long value;
	long long number;

	switch (spec->size) {
	case 'L':
		value = va_arg(*args, unsigned long long);
		number = (long long)value;
		break;
	case 'l':
	case 'z':
	case 't':
		value = va_arg(*args, unsigned long);
		number = (long)value;
		break;
	case 'h':
		value = (unsigned short)va_arg(*args, int);
		number = (short)value;
		break;
	case 'H':
		value = (unsigned char)va_arg(*args, int);
		number = (signed char)value;
		break;
	default:
		value = va_arg(*args, unsigned int);
		number = (int)value;
		break;
	}
	if (is_signed)
		format_number(out, number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number,
			      number < 0, spec);
	else
		format_number(out, value, 0, spec);
}

static void format(struct out *out, const char *fmt, va_list *args)
{
	struct spec spec;
	size_t len;
	char c;

	while (*fmt) {
		const char *start = fmt;

		len = strcspn(fmt, "%");
		put_bytes(out, fmt, len);
		fmt += len;
		if (!*fmt)
			return;
		start = fmt;
		fmt = parse_spec(fmt + 1, &spec, args);
		switch (spec.type) {
		case 'c':
			c = (char)va_arg(*args, int);
			umc_printf_text(out, &c, 1, spec.width, -1, spec.flags);
			break;
		case 's':
			format_string(out, va_arg(*args, const char *), &spec);
			break;
		case 'p':
			for (len = 0; is_alnum(fmt[len]); len++)
				;
			format_pointer(out, va_arg(*args, const void *), fmt, len, &spec);
			fmt += len;
			break;
		case 'd':
		case 'i':
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			format_integer(out, &spec, args);
			break;
		case '%':
			put(out, '%');
			break;
		default:
			/* The types of the arguments that follow are unknown: show the rest as it is. */
			put_bytes(out, start, strlen(start));
			return;
		}
	}
}

int umc_vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out out = { .buf = buf, .size = size };
	va_list copy;

	va_copy(copy, args);
	format(&out, fmt, &copy);
	va_end(copy);
	if (size)
		buf[out.len < size ? out.len : size - 1] = '\0';
	return out.len > INT_MAX ? INT_MAX : (int)out.len;
}

int umc_vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	size_t len = (size_t)umc_vsnprintf(buf, size, fmt, args);

	return (int)(len < size ? len : size ? size - 1 : 0);
}

int umc_vsprintf(char *buf, const char *fmt, va_list args)
{
	return umc_vsnprintf(buf, INT_MAX, fmt, args);
}

#define CALL(last, call)                                                                      \
	va_list args;                                                                         \
	int ret;                                                                              \
                                                                                              \
	va_start(args, last);                                                                 \
	ret = call;                                                                           \
	va_end(args);                                                                         \
	return ret

int umc_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	CALL(fmt, umc_vsnprintf(buf, size, fmt, args));
}

int umc_scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	CALL(fmt, umc_vscnprintf(buf, size, fmt, args));
}

int umc_sprintf(char *buf, const char *fmt, ...)
{
	CALL(fmt, umc_vsprintf(buf, fmt, args));
}

char *kvasprintf(unsigned int gfp, const char *fmt, va_list args)
{
	int len = umc_vsnprintf(NULL, 0, fmt, args);
	char *text = kmalloc((size_t)len + 1, gfp);

	if (text)
		umc_vsnprintf(text, (size_t)len + 1, fmt, args);
	return text;
}

const char *kvasprintf_const(unsigned int gfp, const char *fmt, va_list args)
{
	return kvasprintf(gfp, fmt, args);
}

char *kasprintf(unsigned int gfp, const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = kvasprintf(gfp, fmt, args);
	va_end(args);
	return text;
}

/* Formats into `room`, or into memory that the caller frees when the text is longer; `*len` is what there is. */
static char *format_message(char room[MESSAGE_LEN], size_t *len, const char *fmt, va_list args)
{
	char *text = room;

	*len = (size_t)umc_vsnprintf(room, MESSAGE_LEN, fmt, args);
	if (*len >= MESSAGE_LEN) {
		text = malloc(*len + 1);
		if (text) {
			umc_vsnprintf(text, *len + 1, fmt, args);
		} else {
			text = room;
			*len = MESSAGE_LEN - 1;
		}
	}
	return text;
}

int vprintk(const char *fmt, va_list args)
{
	char room[MESSAGE_LEN];
	size_t len;
	char *text = format_message(room, &len, fmt, args);

	umc_printk_emit(text, len);
	if (text != room)
		free(text);
	return (int)len;
}

int vprintk_deferred(const char *fmt, va_list args)
{
	return vprintk(fmt, args);
}

int _printk(const char *fmt, ...)
{
	CALL(fmt, vprintk(fmt, args));
}

int _printk_deferred(const char *fmt, ...)
{
	CALL(fmt, vprintk(fmt, args));
}

void umc_warn(const char *file, int line, const char *function, const char *fmt, ...)
{
	char room[MESSAGE_LEN];
	va_list args;
	size_t len;
	char *text;

	va_start(args, fmt);
	text = format_message(room, &len, fmt, args);
	va_end(args);
	umc_warn_text(file, line, function, text, len);
	if (text != room)
		free(text);
}

void __attribute__((noreturn)) panic(const char *fmt, ...)
{
	char room[MESSAGE_LEN];
	va_list args;
	size_t len;
	char *text;

	va_start(args, fmt);
	text = format_message(room, &len, fmt, args);
	va_end(args);
	umc_panic_text(text, len);
}
