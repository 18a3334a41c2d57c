// SPDX-License-Identifier: GPL-2.0-only
//! Model tests: the guarantees of the emulated kernel's primitives, each under many schedules.
//!
//! Goal: what the documentation of a header promises holds whatever the order in which threads run, wake and are
//! preempted. Method: each test states one guarantee and plays it, a few threads and a few calls, under the simulator,
//! once for each of some hundred seeds. The plays call the C functions and macros as a driver does. Virtual time makes
//! every wait bounded: a wake-up that is lost is a deadlock, which ends the play and shows who waits for what.
//!
//! A failure prints the seed and the command that replays it, which also shows the log of the kernel and each switch:
//!
//!     UMC_MODEL_SEED=17 cargo test --release -p umc --test model -- --exact wait::some_guarantee
//!
//! `UMC_MODEL_SEEDS=N` plays N seeds instead of the usual number. `planted` shows that faults are found.

#![allow(clippy::multiple_unsafe_ops_per_block, reason = "calls of one model under one contract")]

mod abi;
mod bdev;
mod bioset;
mod completion;
mod fairness;
mod harness;
mod kthread;
mod mutex;
mod percpu;
mod planted;
mod rcu;
mod refcount;
mod requests;
mod rwsem;
mod semaphore;
mod shared;
mod signal;
mod socket;
mod socket_events;
mod socket_held;
mod socket_watch;
mod spinlock;
mod srcu;
mod timer;
mod wait;
mod workqueue;
mod workqueue_cancel;
mod workqueue_workers;
