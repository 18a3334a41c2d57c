/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What makes the tables of a driver's tracepoints on Linux (6.12). There are none here: see linux/tracepoint.h.
 * Included at the end of a driver's header of tracepoints, any number of times.
 */
