// SPDX-License-Identifier: GPL-2.0-only
//! `mte`: the multithreaded event engine, and the ops vector behind which it stands.
//!
//! Everything a driver waits for, and everything that is not determined by its input, passes through one table,
//! [`Ops`]: time, random numbers, threads, parking, timers, deferred work, readiness of file descriptors and sockets.
//! [`engine`] is the provider that uses the host as it is.
//!
//! A thread knows its provider: [`current()`]. Threads started through a provider inherit it; any other thread gets
//! the process-wide [`engine`].

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

mod current;
pub mod engine;
pub mod ops;
pub mod sim;

pub use current::current;
pub use ops::{FdEvents, NEVER, Ops, Wake, set_current};
