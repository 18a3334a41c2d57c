/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Agreement on keys (API of Linux 6.12): there is none, and nobody is told that there is.
 */
#ifndef UMC_CRYPTO_KPP_H
#define UMC_CRYPTO_KPP_H

#include <linux/crypto.h>
#include <linux/slab.h>
#include <linux/types.h>

/* umc: handle */
struct crypto_kpp;

#endif
