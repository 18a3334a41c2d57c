// SPDX-License-Identifier: GPL-2.0-only
//! Disks that tcmu-runner handlers keep.
//!
//! This crate is the host of the handler ABI of tcmu-runner 1.5.4, in place of tcmu-runner and its libtcmu: it loads
//! handlers as Debian builds them, and our own `ram` and `file`. [`open_disk()`] makes a disk of a node from the words
//! `HANDLER/CONFIG`.
//!
//! Where to read: [`abi`] has the layouts, [`registry`] the loading, `open` the life of a disk up to its first bio,
//! `disk` and `command` the way of a bio through a handler; `command` has the rules of completion; `qcow` looks for what
//! Debian's handler of that name would damage. What a handler may call is in [`exports`] and [`helpers`] and, because it is variadic, in `glue/log.c`; what it must not, in `process`.
//!
//! `umc-handler-check`, the program behind `umc handler check`, drives a handler without a node.
//!
//! The executable must export these symbols (`-rdynamic`): handlers are not linked to a library that has them.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one SAFETY line for what the contract of the handler ABI covers"
)]
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

pub mod cdb;
mod command;
pub mod device;
mod disk;
mod elf;
pub mod error;
pub mod exports;
pub mod helpers;
pub mod image;
mod log;
mod open;
mod open_disk;
mod process;
mod qcow;
mod queue;
pub mod registry;
mod request_limits;
mod resize;
mod spare;

pub use handler_abi as abi;

pub use error::{Error, Kind};
pub use open::open_disk;
pub use registry::{DEBIAN_DIR, Listed, Registry, shutdown};
