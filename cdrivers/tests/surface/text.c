// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text and numbers: made, cut, read, found; dates; addresses; random numbers.
 */
#include <linux/in6.h>
#include <linux/inet.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/time.h>
#include <net/ipv6.h>
#include "check.h"

static __printf(1, 2) char *made(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	text = kvasprintf(GFP_ATOMIC, fmt, args);
	va_end(args);
	return text;
}

static __printf(3, 4) int printed(char *buffer, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buffer, size, fmt, args);
	va_end(args);
	return len;
}

static void make_text(void)
{
	char *text = made("%s=%d/%pU", "id", -3, "0123456789abcdef");
	char buffer[16], *at = buffer, *end = buffer + sizeof(buffer);
	int width = 20;

	if (CHECK(text)) {
		CHECK_EQ(strcmp(text, "id=-3/30313233-3435-3637-3839-616263646566"), 0);
		kfree(text);
	}
	/* What is cut is told by one, and not by the other: so that lists may be added to without end. */
	CHECK_EQ(printed(buffer, sizeof(buffer), "%0*d", width, 5), width);
	CHECK_EQ(strlen(buffer), 15);
	for (int i = 0; i < 10; i++)
		at += scnprintf(at, end - at, "%d,", 100 + i);
	CHECK_EQ(at - buffer, 15);
	CHECK_EQ(strcmp(buffer, "100,101,102,103"), 0);
	CHECK_EQ(scnprintf(at, 0, "more"), 0);
}

static void copy_text(void)
{
	/* Not known when this is compiled: the compiler moves what is short and known by itself. */
	size_t len = 10 + get_random_u32_below(1);
	char buffer[16];

	memset(buffer, 'x', sizeof(buffer));
	CHECK_EQ(strscpy_pad(buffer, "short", sizeof(buffer)), 5);
	for (int i = 5; i < sizeof(buffer); i++)
		CHECK_EQ(buffer[i], 0);
	CHECK_EQ(strscpy_pad(buffer, "longer than that is", sizeof(buffer)), -E2BIG);
	CHECK_EQ(strcmp(buffer, "longer than tha"), 0);
	memmove(buffer + 1, buffer, len);
	CHECK_EQ(strncmp(buffer, "llonger tha", 11), 0);
	memmove(buffer, buffer + 1, len);
	CHECK_EQ(strncmp(buffer, "longer tha", 10), 0);
	CHECK(strstr(buffer, "tha") == buffer + 7);
	CHECK(strstr(buffer, "") == buffer);
	CHECK(!strstr(buffer, "thin"));
}

static int number_of(const char *text, unsigned int base, unsigned long long *number)
{
	return kstrtoull(text, base, number);
}

static void read_numbers(void)
{
	unsigned long long number = 7;

	CHECK_EQ(number_of("18446744073709551615\n", 0, &number), 0);
	CHECK_EQ(number, ~0ULL);
	CHECK_EQ(number_of("18446744073709551616", 0, &number), -ERANGE);
	CHECK_EQ(number_of("0x1f", 0, &number), 0);
	CHECK_EQ(number, 31);
	CHECK_EQ(number_of("12 ", 10, &number), -EINVAL);
	CHECK_EQ(number_of("", 10, &number), -EINVAL);
	CHECK_EQ(number_of("-1", 10, &number), -EINVAL);
	CHECK_EQ(number, 31);
}

static void dates(void)
{
	struct timespec64 now = ktime_to_timespec64(ktime_get_real());
	ktime_t begin = ktime_get();
	struct tm tm;

	time64_to_tm(951782399, 0, &tm);
	CHECK_EQ(tm.tm_year, 100);
	CHECK_EQ(tm.tm_mon, 1);
	CHECK_EQ(tm.tm_mday, 28);
	CHECK_EQ(tm.tm_hour, 23);
	CHECK_EQ(tm.tm_min, 59);
	CHECK_EQ(tm.tm_sec, 59);
	/* One second later, seen from an hour to the east: the day that only some centuries have. */
	time64_to_tm(951782400, 3600, &tm);
	CHECK_EQ(tm.tm_mday, 29);
	CHECK_EQ(tm.tm_hour, 1);
	time64_to_tm(-1, 0, &tm);
	CHECK_EQ(tm.tm_year, 69);
	time64_to_tm(now.tv_sec, -sys_tz.tz_minuteswest * 60, &tm);
	CHECK(tm.tm_year >= 124);
	CHECK(now.tv_nsec >= 0 && now.tv_nsec < NSEC_PER_SEC);
	CHECK(ktime_to_ns(ktime_sub(ktime_get(), begin)) >= 0);
	CHECK_EQ(ktime_to_ms(ktime_add(ns_to_ktime(3 * NSEC_PER_MSEC), ns_to_ktime(NSEC_PER_MSEC))), 4);
	CHECK_EQ(nsecs_to_jiffies(NSEC_PER_SEC), HZ);
	CHECK_EQ(div_u64(10000000001ULL, 10), 1000000000);
}

static void addresses(void)
{
	struct in6_addr link_local = { .s6_addr = { 0xfe, 0x80, [15] = 1 } };
	struct in6_addr loopback = { .s6_addr = { [15] = 1 } };
	struct in6_addr global = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8, [15] = 9 } };

	CHECK(ipv6_addr_type(&link_local) & IPV6_ADDR_LINKLOCAL);
	CHECK(ipv6_addr_type(&loopback) & IPV6_ADDR_LOOPBACK);
	CHECK(!(ipv6_addr_type(&global) & IPV6_ADDR_LINKLOCAL));
	CHECK(ipv6_addr_equal(&global, &global) && !ipv6_addr_equal(&global, &loopback));
}

static void random_numbers(void)
{
	u64 ones = 0, zeros = 0;
	u32 ones32 = 0;

	for (int i = 0; i < 200; i++) {
		u64 number = get_random_u64();

		ones |= number;
		zeros |= ~number;
		ones32 |= get_random_u32();
		CHECK(get_random_u32_below(7) < 7);
	}
	CHECK_EQ(ones, ~0ULL);
	CHECK_EQ(zeros, ~0ULL);
	CHECK_EQ(ones32, ~0U);
}

/* One that may come often is said once, and is what it was asked. */
static void warnings(void)
{
	for (int round = 0; round < 3; round++)
		CHECK_EQ(WARN_ONCE(round, "warned as it is meant to, of %d\n", round), round != 0);
}

static int __init text_init(void)
{
	warnings();
	make_text();
	copy_text();
	read_numbers();
	dates();
	addresses();
	random_numbers();
	return check_result();
}

static void __exit text_exit(void)
{
}

module_init(text_init);
module_exit(text_exit);
MODULE_LICENSE("GPL");
