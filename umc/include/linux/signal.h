/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals: sets, and which ones a kernel thread accepts. API of Linux 6.12. Rust owner: signal.rs.
 * Differs: a signal has no siginfo and is never delivered to a handler of the host.
 */
#ifndef UMC_LINUX_SIGNAL_H
#define UMC_LINUX_SIGNAL_H

#include <linux/types.h>
#include <linux/signal_types.h>

struct task_struct;

#define sigmask(sig) (1UL << ((sig) - 1))

static inline void sigemptyset(sigset_t *set)
{
	set->sig[0] = 0;
}

static inline void sigfillset(sigset_t *set)
{
	set->sig[0] = ~0UL;
}

static inline void sigaddset(sigset_t *set, int sig)
{
	set->sig[0] |= sigmask(sig);
}

static inline void sigdelset(sigset_t *set, int sig)
{
	set->sig[0] &= ~sigmask(sig);
}

static inline int sigismember(sigset_t *set, int sig)
{
	return !!(set->sig[0] & sigmask(sig));
}

static inline int sigisemptyset(sigset_t *set)
{
	return set->sig[0] == 0;
}

static inline void siginitset(sigset_t *set, unsigned long mask)
{
	set->sig[0] = mask;
}

static inline void siginitsetinv(sigset_t *set, unsigned long mask)
{
	set->sig[0] = ~mask;
}

static inline void sigaddsetmask(sigset_t *set, unsigned long mask)
{
	set->sig[0] |= mask;
}

static inline void sigdelsetmask(sigset_t *set, unsigned long mask)
{
	set->sig[0] &= ~mask;
}

static inline int sigtestsetmask(sigset_t *set, unsigned long mask)
{
	return (set->sig[0] & mask) != 0;
}

static inline int valid_signal(unsigned long sig)
{
	return sig <= _NSIG;
}

/* From here on the calling kernel thread is interrupted by `sig`, whoever sends it. */
extern void allow_signal(int sig);
/* The same, for signals sent with `priv` set. */
extern void allow_kernel_signal(int sig);
extern void disallow_signal(int sig);

#endif
