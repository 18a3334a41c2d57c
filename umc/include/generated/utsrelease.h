/* SPDX-License-Identifier: GPL-2.0-only */
/* The release string that utsname and VERMAGIC show. */
#define UTS_RELEASE "6.12.117-umc"
