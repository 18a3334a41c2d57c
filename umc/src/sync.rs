// SPDX-License-Identifier: GPL-2.0-only
//! What tasks wait on and run in: locks, completions, wait queues, RCU, timers, kernel threads and work queues.

pub mod bit_spinlock;
pub mod capability;
pub mod completion;
pub mod cpuhp;
pub mod cred;
pub mod kthread;
pub mod mutex;
pub mod percpu_ref;
pub mod rcupdate;
pub mod refcount;
pub mod rwlock;
pub mod rwsem;
pub mod semaphore;
pub mod spinlock;
pub mod srcu;
pub mod timer;
pub mod wait;
pub mod workqueue;
