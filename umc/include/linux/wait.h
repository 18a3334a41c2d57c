/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wait queues. API of Linux 6.12. Rust owner: wait.rs.
 * Differs: no freezer and no hrtimer variants.
 */
#ifndef UMC_LINUX_WAIT_H
#define UMC_LINUX_WAIT_H

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/stddef.h>
#include <linux/spinlock.h>
#include <linux/sched.h>
#include <asm/current.h>

typedef struct wait_queue_entry wait_queue_entry_t;
typedef int (*wait_queue_func_t)(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key);

/* Bits of wait_queue_entry::flags. */
#define WQ_FLAG_EXCLUSIVE 0x01
#define WQ_FLAG_WOKEN 0x02
#define WQ_FLAG_CUSTOM 0x04
#define WQ_FLAG_DONE 0x08
#define WQ_FLAG_PRIORITY 0x10

/* umc: shared */
struct wait_queue_entry {
	unsigned int flags;
	void *private;
	wait_queue_func_t func;
	struct list_head entry;
};

/* umc: shared */
struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
};
typedef struct wait_queue_head wait_queue_head_t;

extern int default_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key);
extern int autoremove_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key);
extern int woken_wake_function(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key);

#define __WAITQUEUE_INITIALIZER(name, task) \
	{ .private = (task), .func = default_wake_function, .entry = { NULL, NULL } }
#define DECLARE_WAITQUEUE(name, task) struct wait_queue_entry name = __WAITQUEUE_INITIALIZER(name, task)
#define __WAIT_QUEUE_HEAD_INITIALIZER(name) \
	{ .lock = __SPIN_LOCK_INITIALIZER(name.lock), .head = LIST_HEAD_INIT(name.head) }
#define DECLARE_WAIT_QUEUE_HEAD(name) struct wait_queue_head name = __WAIT_QUEUE_HEAD_INITIALIZER(name)
#define DECLARE_WAIT_QUEUE_HEAD_ONSTACK(name) DECLARE_WAIT_QUEUE_HEAD(name)
#define DEFINE_WAIT_FUNC(name, function)                           \
	struct wait_queue_entry name = {                           \
		.private = current,                                \
		.func = function,                                  \
		.entry = LIST_HEAD_INIT((name).entry),             \
	}
#define DEFINE_WAIT(name) DEFINE_WAIT_FUNC(name, autoremove_wake_function)
/* A condition may sleep, if it is true then at the latest. */
#define sched_annotate_sleep() do { } while (0)
#define init_wait(wait) init_wait_entry((wait), 0)

extern void __init_waitqueue_head(struct wait_queue_head *head, const char *name, struct lock_class_key *key);
extern void init_wait_entry(struct wait_queue_entry *entry, int flags);
#define init_waitqueue_head(head) __init_waitqueue_head((head), #head, (struct lock_class_key *)NULL)

static inline void init_waitqueue_entry(struct wait_queue_entry *entry, struct task_struct *task)
{
	entry->flags = 0;
	entry->private = task;
	entry->func = default_wake_function;
}

static inline void init_waitqueue_func_entry(struct wait_queue_entry *entry, wait_queue_func_t func)
{
	entry->flags = 0;
	entry->private = NULL;
	entry->func = func;
}

/* A caller that does not hold the lock needs a full barrier between its change and this test. */
static inline int waitqueue_active(struct wait_queue_head *head)
{
	return !list_empty(&head->head);
}

static inline bool wq_has_sleeper(struct wait_queue_head *head)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return waitqueue_active(head);
}

static inline void __add_wait_queue(struct wait_queue_head *head, struct wait_queue_entry *entry)
{
	list_add(&entry->entry, &head->head);
}

static inline void __add_wait_queue_exclusive(struct wait_queue_head *head, struct wait_queue_entry *entry)
{
	entry->flags |= WQ_FLAG_EXCLUSIVE;
	list_add(&entry->entry, &head->head);
}

static inline void __add_wait_queue_entry_tail(struct wait_queue_head *head, struct wait_queue_entry *entry)
{
	list_add_tail(&entry->entry, &head->head);
}

static inline void __add_wait_queue_entry_tail_exclusive(struct wait_queue_head *head,
							 struct wait_queue_entry *entry)
{
	entry->flags |= WQ_FLAG_EXCLUSIVE;
	list_add_tail(&entry->entry, &head->head);
}

static inline void __remove_wait_queue(struct wait_queue_head *head, struct wait_queue_entry *entry)
{
	list_del(&entry->entry);
}

extern void add_wait_queue(struct wait_queue_head *head, struct wait_queue_entry *entry);
extern void add_wait_queue_exclusive(struct wait_queue_head *head, struct wait_queue_entry *entry);
extern void remove_wait_queue(struct wait_queue_head *head, struct wait_queue_entry *entry);
extern void prepare_to_wait(struct wait_queue_head *head, struct wait_queue_entry *entry, int state);
extern bool prepare_to_wait_exclusive(struct wait_queue_head *head, struct wait_queue_entry *entry, int state);
extern long prepare_to_wait_event(struct wait_queue_head *head, struct wait_queue_entry *entry, int state);
extern void finish_wait(struct wait_queue_head *head, struct wait_queue_entry *entry);
extern long wait_woken(struct wait_queue_entry *entry, unsigned int mode, long timeout); /* may sleep */

extern int __wake_up(struct wait_queue_head *head, unsigned int mode, int nr, void *key);
extern void __wake_up_locked(struct wait_queue_head *head, unsigned int mode, int nr);
extern void __wake_up_locked_key(struct wait_queue_head *head, unsigned int mode, void *key);
extern void __wake_up_sync(struct wait_queue_head *head, unsigned int mode);
extern void __wake_up_sync_key(struct wait_queue_head *head, unsigned int mode, void *key);

#define wake_up(head) __wake_up((head), TASK_NORMAL, 1, NULL)
#define wake_up_nr(head, nr) __wake_up((head), TASK_NORMAL, (nr), NULL)
#define wake_up_all(head) __wake_up((head), TASK_NORMAL, 0, NULL)
#define wake_up_locked(head) __wake_up_locked((head), TASK_NORMAL, 1)
#define wake_up_all_locked(head) __wake_up_locked((head), TASK_NORMAL, 0)
#define wake_up_sync(head) __wake_up_sync((head), TASK_NORMAL)
#define wake_up_interruptible(head) __wake_up((head), TASK_INTERRUPTIBLE, 1, NULL)
#define wake_up_interruptible_nr(head, nr) __wake_up((head), TASK_INTERRUPTIBLE, (nr), NULL)
#define wake_up_interruptible_all(head) __wake_up((head), TASK_INTERRUPTIBLE, 0, NULL)
#define wake_up_interruptible_sync(head) __wake_up_sync((head), TASK_INTERRUPTIBLE)
#define poll_to_key(events) ((void *)(uintptr_t)(events))
#define key_to_poll(key) ((uintptr_t)(key))
#define wake_up_poll(head, events) __wake_up((head), TASK_NORMAL, 1, poll_to_key(events))
#define wake_up_interruptible_poll(head, events) \
	__wake_up((head), TASK_INTERRUPTIBLE, 1, poll_to_key(events))
#define wake_up_interruptible_sync_poll(head, events) \
	__wake_up_sync_key((head), TASK_INTERRUPTIBLE, poll_to_key(events))

/*
 * The loop below all wait_event macros: enqueue and set the state, test, then sleep. A wake-up after the state was
 * set makes the sleep return at once, so none is lost. Its value is `first`, or -ERESTARTSYS after a signal; `sleep`
 * may assign umc_ret, and may drop and retake the caller's locks.
 */
#define umc_wait_loop(head, condition, state, exclusive, first, sleep)                      \
	({                                                                                  \
		struct wait_queue_entry umc_entry;                                          \
		long umc_ret = (first);                                                     \
		init_wait_entry(&umc_entry, (exclusive) ? WQ_FLAG_EXCLUSIVE : 0);           \
		for (;;) {                                                                  \
			long umc_signal = prepare_to_wait_event(&(head), &umc_entry, (state)); \
			if (condition)                                                      \
				break;                                                      \
			if (umc_signal) {                                                   \
				umc_ret = umc_signal;                                       \
				break;                                                      \
			}                                                                   \
			sleep;                                                              \
		}                                                                           \
		finish_wait(&(head), &umc_entry);                                           \
		umc_ret;                                                                    \
	})

/* True ends the wait: the condition holds (then at least one jiffy is reported left), or no time is left. */
#define umc_wait_done(left, condition)                  \
	({                                              \
		bool umc_true = !!(condition);          \
		if (umc_true && !(left))                \
			(left) = 1;                     \
		umc_true || !(left);                    \
	})

#define umc_wait_plain(head, condition, state, exclusive, sleep)                              \
	({                                                                                    \
		long umc_wait = 0;                                                            \
		might_sleep();                                                                \
		if (!(condition))                                                             \
			umc_wait = umc_wait_loop(head, condition, state, exclusive, 0, sleep); \
		(int)umc_wait;                                                                \
	})

#define umc_wait_timeout(head, condition, state, timeout, sleep)                              \
	({                                                                                    \
		long umc_left = (timeout);                                                    \
		might_sleep();                                                                \
		if (!umc_wait_done(umc_left, condition))                                      \
			umc_left = umc_wait_loop(head, umc_wait_done(umc_ret, condition),     \
						 state, 0, umc_left, sleep);                  \
		umc_left;                                                                     \
	})

#define ___wait_event(head, condition, state, exclusive, first, sleep) \
	umc_wait_loop(head, condition, state, exclusive, first, sleep)

#define wait_event(head, condition) \
	((void)umc_wait_plain(head, condition, TASK_UNINTERRUPTIBLE, 0, schedule()))
#define io_wait_event(head, condition) \
	((void)umc_wait_plain(head, condition, TASK_UNINTERRUPTIBLE, 0, io_schedule()))
/* Also for who knows that the condition was not true just now. */
#define __io_wait_event(head, condition) io_wait_event(head, condition)
#define wait_event_idle(head, condition) \
	((void)umc_wait_plain(head, condition, TASK_IDLE, 0, schedule()))
#define wait_event_idle_exclusive(head, condition) \
	((void)umc_wait_plain(head, condition, TASK_IDLE, 1, schedule()))
/* These two are called with locks held, which `before` gives up: only then the caller may sleep. */
#define umc_wait_cmd(head, condition, exclusive, before, after)                               \
	do {                                                                                  \
		if (!(condition))                                                             \
			(void)umc_wait_loop(head, condition, TASK_UNINTERRUPTIBLE, exclusive, 0, \
					    before; schedule(); after);                       \
	} while (0)
#define wait_event_cmd(head, condition, before, after) \
	umc_wait_cmd(head, condition, 0, before, after)
#define wait_event_exclusive_cmd(head, condition, before, after) \
	umc_wait_cmd(head, condition, 1, before, after)
#define wait_event_interruptible(head, condition) \
	umc_wait_plain(head, condition, TASK_INTERRUPTIBLE, 0, schedule())
#define wait_event_interruptible_exclusive(head, condition) \
	umc_wait_plain(head, condition, TASK_INTERRUPTIBLE, 1, schedule())
#define wait_event_killable(head, condition) \
	umc_wait_plain(head, condition, TASK_KILLABLE, 0, schedule())
#define wait_event_killable_exclusive(head, condition) \
	umc_wait_plain(head, condition, TASK_KILLABLE, 1, schedule())
#define wait_event_state(head, condition, state) \
	umc_wait_plain(head, condition, state, 0, schedule())
#define wait_event_freezable(head, condition) wait_event_interruptible(head, condition)

#define wait_event_timeout(head, condition, timeout) \
	umc_wait_timeout(head, condition, TASK_UNINTERRUPTIBLE, timeout, \
			 umc_ret = schedule_timeout(umc_ret))
#define wait_event_idle_timeout(head, condition, timeout) \
	umc_wait_timeout(head, condition, TASK_IDLE, timeout, umc_ret = schedule_timeout(umc_ret))
#define wait_event_interruptible_timeout(head, condition, timeout) \
	umc_wait_timeout(head, condition, TASK_INTERRUPTIBLE, timeout, \
			 umc_ret = schedule_timeout(umc_ret))
#define wait_event_killable_timeout(head, condition, timeout) \
	umc_wait_timeout(head, condition, TASK_KILLABLE, timeout, umc_ret = schedule_timeout(umc_ret))
#define wait_event_freezable_timeout(head, condition, timeout) \
	wait_event_interruptible_timeout(head, condition, timeout)

/* The lock is held on entry, during each test and on return; it is dropped for the sleep. */
#define umc_wait_locked(head, condition, state, sleep)                                       \
	({                                                                                   \
		long umc_wait = 0;                                                           \
		if (!(condition))                                                            \
			umc_wait = umc_wait_loop(head, condition, state, 0, 0, sleep);       \
		(int)umc_wait;                                                               \
	})
#define umc_wait_locked_timeout(head, condition, state, timeout, sleep)                      \
	({                                                                                   \
		long umc_left = (timeout);                                                   \
		if (!umc_wait_done(umc_left, condition))                                     \
			umc_left = umc_wait_loop(head, umc_wait_done(umc_ret, condition),    \
						 state, 0, umc_left, sleep);                 \
		umc_left;                                                                    \
	})
#define wait_event_lock_irq_cmd(head, condition, lock, cmd)                                  \
	((void)umc_wait_locked(head, condition, TASK_UNINTERRUPTIBLE,                        \
			       spin_unlock_irq(&(lock)); cmd; schedule(); spin_lock_irq(&(lock))))
#define wait_event_lock_irq(head, condition, lock)                                           \
	((void)umc_wait_locked(head, condition, TASK_UNINTERRUPTIBLE,                        \
			       spin_unlock_irq(&(lock)); schedule(); spin_lock_irq(&(lock))))
#define wait_event_interruptible_lock_irq_cmd(head, condition, lock, cmd)                    \
	umc_wait_locked(head, condition, TASK_INTERRUPTIBLE,                                 \
			spin_unlock_irq(&(lock)); cmd; schedule(); spin_lock_irq(&(lock)))
#define wait_event_interruptible_lock_irq(head, condition, lock)                             \
	umc_wait_locked(head, condition, TASK_INTERRUPTIBLE,                                 \
			spin_unlock_irq(&(lock)); schedule(); spin_lock_irq(&(lock)))
#define wait_event_lock_irq_timeout(head, condition, lock, timeout)                          \
	umc_wait_locked_timeout(head, condition, TASK_UNINTERRUPTIBLE, timeout,              \
				spin_unlock_irq(&(lock));                                    \
				umc_ret = schedule_timeout(umc_ret); spin_lock_irq(&(lock)))
#define wait_event_interruptible_lock_irq_timeout(head, condition, lock, timeout)            \
	umc_wait_locked_timeout(head, condition, TASK_INTERRUPTIBLE, timeout,                \
				spin_unlock_irq(&(lock));                                    \
				umc_ret = schedule_timeout(umc_ret); spin_lock_irq(&(lock)))

#endif
