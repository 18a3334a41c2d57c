/* SPDX-License-Identifier: GPL-2.0-only */
/* Two words to choose from (API of 6.12). */
#ifndef UMC_LINUX_STRING_CHOICES_H
#define UMC_LINUX_STRING_CHOICES_H

#include <linux/types.h>

#define UMC_CHOICE(name, yes, no)                                                             \
	static inline const char *name(bool v)                                                \
	{                                                                                     \
		return v ? yes : no;                                                          \
	}

UMC_CHOICE(str_assert_deassert, "assert", "deassert")
UMC_CHOICE(str_enable_disable, "enable", "disable")
UMC_CHOICE(str_enabled_disabled, "enabled", "disabled")
UMC_CHOICE(str_hi_lo, "hi", "lo")
UMC_CHOICE(str_high_low, "high", "low")
UMC_CHOICE(str_on_off, "on", "off")
UMC_CHOICE(str_read_write, "read", "write")
UMC_CHOICE(str_true_false, "true", "false")
UMC_CHOICE(str_up_down, "up", "down")
UMC_CHOICE(str_yes_no, "yes", "no")

#define str_disable_enable(v) str_enable_disable(!(v))
#define str_disabled_enabled(v) str_enabled_disabled(!(v))
#define str_no_yes(v) str_yes_no(!(v))
#define str_off_on(v) str_on_off(!(v))

static inline const char *str_plural(size_t count)
{
	return count == 1 ? "" : "s";
}

#endif
