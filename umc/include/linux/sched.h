/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks: the task struct, states, sleeping and waking. API of Linux 6.12. Rust owner: sched.rs.
 * Differs: a task is a thread of the provider; __state is the very word it parks on. CPU masks, policies and
 * priorities are kept and shown, the host scheduler decides.
 */
#ifndef UMC_LINUX_SCHED_H
#define UMC_LINUX_SCHED_H

#include <uapi/linux/sched.h>
#include <asm/current.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/limits.h>
#include <linux/cpumask_types.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/sched/prio.h>
#include <linux/signal_types.h>

struct bio_list;
struct blk_plug;
struct io_context;
struct mm_struct;
struct pid;
struct sched_attr;
struct spinlock;

/* Bits of task_struct::__state. */
#define TASK_RUNNING 0x00000000
#define TASK_INTERRUPTIBLE 0x00000001
#define TASK_UNINTERRUPTIBLE 0x00000002
#define __TASK_STOPPED 0x00000004
#define __TASK_TRACED 0x00000008
#define EXIT_DEAD 0x00000010
#define EXIT_ZOMBIE 0x00000020
#define TASK_PARKED 0x00000040
#define TASK_DEAD 0x00000080
#define TASK_WAKEKILL 0x00000100
#define TASK_WAKING 0x00000200
#define TASK_NOLOAD 0x00000400
#define TASK_NEW 0x00000800
#define TASK_FREEZABLE 0x00002000
#define TASK_FROZEN 0x00008000
#define TASK_STATE_MAX 0x00010000
#define TASK_ANY (TASK_STATE_MAX - 1)
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_IDLE (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)

/* Bits of task_struct::flags. */
#define PF_EXITING 0x00000004
#define PF_IO_WORKER 0x00000010
#define PF_WQ_WORKER 0x00000020
#define PF_MEMALLOC 0x00000800
#define PF_NOFREEZE 0x00008000
#define PF_MEMALLOC_NOFS 0x00040000
#define PF_MEMALLOC_NOIO 0x00080000
#define PF_LOCAL_THROTTLE 0x00100000
#define PF_KTHREAD 0x00200000
#define PF_NO_SETAFFINITY 0x04000000

#define TASK_COMM_LEN 16
#define MAX_SCHEDULE_TIMEOUT LONG_MAX

/* umc: shared */
struct sched_param {
	int sched_priority;
};

/*
 * Made by sched.rs only, which keeps its own fields behind these.
 */
/* umc: shared */
struct task_struct {
	unsigned int __state;
	unsigned int flags;
	refcount_t usage;
	int exit_state;
	int exit_code;
	pid_t pid;
	pid_t tgid;
	char comm[TASK_COMM_LEN];
	int prio;
	int static_prio;
	int normal_prio;
	unsigned int policy;
	unsigned int rt_priority;
	int nr_cpus_allowed;
	cpumask_t cpus_mask;
	const cpumask_t *cpus_ptr;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct mm_struct *active_mm;
	struct bio_list *bio_list;
	struct blk_plug *plug;
	struct io_context *io_context;
	void *journal_info;
	struct nsproxy *nsproxy;
	u64 start_time;
	unsigned int in_iowait;
	/* bcache's, of what the task does in a row: bytes. */
	unsigned int sequential_io;
	unsigned int sequential_io_avg;
};

/*
 * State first, test second, schedule() third: the fence orders the store before the test of the sleeping condition.
 */
#define __set_task_state_umc(task, state_value)                                        \
	do {                                                                           \
		__atomic_store_n(&(task)->__state, (state_value), __ATOMIC_SEQ_CST);   \
		__atomic_thread_fence(__ATOMIC_SEQ_CST);                               \
	} while (0)
#define set_current_state(state_value) __set_task_state_umc(current, state_value)
#define __set_current_state(state_value) \
	__atomic_store_n(&current->__state, (state_value), __ATOMIC_RELAXED)
#define set_special_state(state_value) __set_task_state_umc(current, state_value)
#define get_current_state() __atomic_load_n(&current->__state, __ATOMIC_RELAXED)
#define task_is_running(task) (__atomic_load_n(&(task)->__state, __ATOMIC_RELAXED) == TASK_RUNNING)

extern void schedule(void); /* may sleep */
extern void schedule_preempt_disabled(void); /* may sleep */
extern long schedule_timeout(long timeout); /* may sleep */
extern long schedule_timeout_interruptible(long timeout); /* may sleep */
extern long schedule_timeout_killable(long timeout); /* may sleep */
extern long schedule_timeout_uninterruptible(long timeout); /* may sleep */
extern long schedule_timeout_idle(long timeout); /* may sleep */
extern void io_schedule(void); /* may sleep */
extern long io_schedule_timeout(long timeout); /* may sleep */
extern void yield(void);

extern int wake_up_process(struct task_struct *task);
extern int wake_up_state(struct task_struct *task, unsigned int state);

extern int __cond_resched(void); /* may sleep */
#define cond_resched() __cond_resched()
extern int __cond_resched_lock(struct spinlock *lock);
#define cond_resched_lock(lock) __cond_resched_lock(lock)
#define cond_resched_rcu() cond_resched()
/* Always false: the host preempts. */
static inline bool need_resched(void)
{
	return false;
}

static inline pid_t task_pid_nr(struct task_struct *task)
{
	return task->pid;
}

static inline pid_t task_tgid_nr(struct task_struct *task)
{
	return task->tgid;
}

static inline pid_t task_pid_vnr(struct task_struct *task)
{
	return task->pid;
}

static inline int is_global_init(struct task_struct *task)
{
	return task->tgid == 1;
}

static inline int task_nice(const struct task_struct *task)
{
	return PRIO_TO_NICE(task->static_prio);
}

extern unsigned int task_cpu(const struct task_struct *task);
extern int set_cpus_allowed_ptr(struct task_struct *task, const struct cpumask *mask);
extern void set_user_nice(struct task_struct *task, long nice);
extern void sched_set_fifo(struct task_struct *task);
extern void sched_set_fifo_low(struct task_struct *task);
extern void sched_set_normal(struct task_struct *task, int nice);
extern int sched_setscheduler(struct task_struct *task, int policy, const struct sched_param *param)
	__asm__("umc_sched_setscheduler");
extern void __set_task_comm(struct task_struct *task, const char *comm, bool exec);
#define set_task_comm(task, from) __set_task_comm(task, from, false)
#define get_task_comm(buf, task) strscpy_pad(buf, (task)->comm)

#endif
