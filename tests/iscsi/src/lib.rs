// SPDX-License-Identifier: GPL-2.0-only
//! An initiator of iSCSI in user space, for tests and measurements: what the stock ones (libiscsi, QEMU) do not say, such as which
//! write was answered before a connection ended, and what nobody should send.
//!
//! The numbers are those of RFC 7143, SPC-4 and SBC-3. [`Session`] is a connection to a target; [`Command`]s go through it,
//! several at once.

mod command;
mod login;
mod pdu;
mod session;

pub use command::Command;
pub use login::{Chap, Initiator};
pub use pdu::{Digests, Pdu, op};
pub use session::{Answer, Session};
