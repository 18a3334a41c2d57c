// SPDX-License-Identifier: GPL-2.0-only
//! A host of NVMe over TCP in user space, for tests and measurements: no distribution ships one.
//!
//! The numbers are those of the NVM Express base specification 2.0, its NVM command set, and its TCP transport 1.0.
//! [`Controller`] is a connection to a subsystem; commands go through its [`Queue`]s, several at once.

mod command;
mod controller;
mod pdu;
mod queue;

pub use command::{Command, IDENTIFY_CONTROLLER, IDENTIFY_NAMESPACE, IDENTIFY_NAMESPACES};
pub use controller::{Controller, DISCOVERY, Host};
pub use pdu::{Digests, Kind, Pdu};
pub use queue::{Completion, Queue};
