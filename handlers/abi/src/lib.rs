// SPDX-License-Identifier: GPL-2.0-only
//! The layouts of the handler ABI: tcmu-runner 1.5.4, the same in 1.6 and main.
//!
//! Host and handlers share this crate; it contains no code of the host. Nothing in the ABI says which version a handler
//! was built for; the host recognises the older ones by the symbols they import. [`runner`] declares what a handler
//! calls; [`queued`] is all that a handler in Rust needs.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one SAFETY line for what the contract of the handler ABI covers"
)]
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

pub mod queued;
pub mod runner;

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

/// `_IOR(0x12, 114, size_t)`: the request for the size of a block device in bytes. The host asks before a handler opens an
/// image, a handler once it did.
pub const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;

/// What a call returns: a final status, or one of the two negative values.
pub type Status = c_int;

/// The status values this host tells apart. All others are failures.
pub mod sts {
    use super::Status;

    /// `handle_cmd` only: the handler will call `tcmur_cmd_complete`.
    pub const ASYNC_HANDLED: Status = -2;
    /// The handler does not know the command.
    pub const NOT_HANDLED: Status = -1;
    /// Done; with `nr_threads == 0` from a callback: queued.
    pub const OK: Status = 0;
    /// Try again later.
    pub const NO_RESOURCE: Status = 1;
    /// The handler filled the sense buffer.
    pub const PASSTHROUGH_ERR: Status = 2;
    /// Try again later.
    pub const BUSY: Status = 3;
    /// Write error of the medium.
    pub const WR_ERR: Status = 4;
    /// Read error of the medium.
    pub const RD_ERR: Status = 5;
    /// Unknown opcode.
    pub const INVALID_CMD: Status = 7;
    /// Bad field in the CDB.
    pub const INVALID_CDB: Status = 8;
    /// The handler gave up waiting.
    pub const TIMEOUT: Status = 11;
    /// Another initiator fenced this one.
    pub const FENCED: Status = 12;
    /// Hardware error.
    pub const HW_ERR: Status = 13;
    /// Beyond the end of the disk.
    pub const RANGE: Status = 14;
}

/// Bytes of a sense buffer.
pub const SENSE_BYTES: usize = 96;

/// `reconfig` event types, the `type_` of [`CfgInfo`].
pub mod cfg_type {
    /// The config string changed.
    pub const DEV_CFGSTR: i32 = 0;
    /// The size changed.
    pub const DEV_SIZE: i32 = 1;
    /// The write cache was switched.
    pub const WRITE_CACHE: i32 = 2;
}

/// `struct tcmulib_cfg_info`.
#[repr(C)]
pub struct CfgInfo {
    /// One of [`cfg_type`].
    pub type_: c_int,
    /// The size in bytes, a `char *`, or a `bool`.
    pub value: u64,
}

/// `struct tcmulib_cmd`: the SCSI side of a command.
#[repr(C)]
pub struct LibCmd {
    /// Unused by handlers.
    pub cmd_id: u16,
    /// The command descriptor block.
    pub cdb: *mut u8,
    /// The data; a handler consumes it in place.
    pub iovec: *mut libc::iovec,
    /// Number of pieces.
    pub iov_cnt: usize,
    /// Filled by a handler that returns [`sts::PASSTHROUGH_ERR`].
    pub sense_buf: [u8; SENSE_BYTES],
    /// The host's.
    pub hm_private: *mut c_void,
}

/// `struct list_node` of ccan.
#[repr(C)]
pub struct ListNode {
    /// Next in the list.
    pub next: *mut ListNode,
    /// Previous in the list.
    pub prev: *mut ListNode,
}

/// `done` of a command.
pub type Done = unsafe extern "C" fn(dev: *mut Device, cmd: *mut Cmd, status: Status);

/// `struct tcmur_cmd`: what a handler is given, and hands back to `tcmur_cmd_complete`.
#[repr(C)]
pub struct Cmd {
    /// The SCSI side.
    pub lib_cmd: *mut LibCmd,
    /// Used by the runner's compound commands only.
    pub iovec: *mut libc::iovec,
    /// As above.
    pub iov_cnt: usize,
    /// As above.
    pub iov_base_copy: *mut c_void,
    /// As above; rbd keeps nothing here.
    pub cmd_state: *mut c_void,
    /// As above.
    pub requested: usize,
    /// The runner's list of running commands.
    pub cmds_list_entry: ListNode,
    /// When the command started.
    pub start_time: libc::timespec,
    /// The runner gave up on it.
    pub timed_out: bool,
    /// The host's completion.
    pub done: Option<Done>,
}

/// `struct tcmu_device`, opaque to handlers: they only hold a pointer to it. Only the host knows more.
#[repr(C)]
pub struct Device {
    opaque: [u8; 0],
}

/// `read` and `write`: offset and length in bytes.
pub type Transfer = unsafe extern "C" fn(
    dev: *mut Device,
    cmd: *mut Cmd,
    iovec: *mut libc::iovec,
    iov_cnt: usize,
    len: usize,
    off: libc::off_t,
) -> Status;
/// `flush` and `handle_cmd`.
pub type Command = unsafe extern "C" fn(dev: *mut Device, cmd: *mut Cmd) -> Status;
/// `unmap`: offset and length in bytes.
pub type Unmap =
    unsafe extern "C" fn(dev: *mut Device, cmd: *mut Cmd, off: u64, len: u64) -> Status;
/// `writesame` and `caw`.
pub type Pattern = unsafe extern "C" fn(
    dev: *mut Device,
    cmd: *mut Cmd,
    off: u64,
    len: u64,
    iovec: *mut libc::iovec,
    iov_cnt: usize,
) -> Status;

/// `struct tcmur_handler`: what a handler registers. It lives in the handler's data and is never unmapped.
#[repr(C)]
pub struct Handler {
    /// Human-readable name.
    pub name: *const c_char,
    /// The first part of a config string.
    pub subtype: *const c_char,
    /// Says what follows the subtype.
    pub cfg_desc: *const c_char,
    /// The handler's own.
    pub opaque: *mut c_void,
    /// Judges a config string; on false `reason` may be set to a malloc'ed text.
    pub check_config:
        Option<unsafe extern "C" fn(cfg: *const c_char, reason: *mut *mut c_char) -> bool>,
    /// Something of [`cfg_type`] changed.
    pub reconfig: Option<unsafe extern "C" fn(dev: *mut Device, info: *mut CfgInfo) -> c_int>,
    /// Opens a disk: 0, or -1 or a negative errno.
    pub open: Option<unsafe extern "C" fn(dev: *mut Device, reopen: bool) -> c_int>,
    /// Closes it; not called after a failed open.
    pub close: Option<unsafe extern "C" fn(dev: *mut Device)>,
    /// Calls at a time, from worker threads; 0: callbacks queue and complete later.
    pub nr_threads: c_int,
    /// Takes a CDB.
    pub handle_cmd: Option<Command>,
    /// Reads.
    pub read: Option<Transfer>,
    /// Writes.
    pub write: Option<Transfer>,
    /// Makes completed writes durable.
    pub flush: Option<Command>,
    /// Discards.
    pub unmap: Option<Unmap>,
    /// Repeats a block.
    pub writesame: Option<Pattern>,
    /// Compare and write. Never called here.
    pub caw: Option<Pattern>,
    /// The next five serve multi-gateway setups and are never called here.
    pub report_event: Option<unsafe extern "C" fn(dev: *mut Device) -> c_int>,
    /// See above.
    pub lock: Option<unsafe extern "C" fn(dev: *mut Device, tag: u16) -> c_int>,
    /// See above.
    pub unlock: Option<unsafe extern "C" fn(dev: *mut Device) -> c_int>,
    /// See above.
    pub get_lock_tag: Option<unsafe extern "C" fn(dev: *mut Device, tag: *mut u16) -> c_int>,
    /// See above.
    pub get_lock_state: Option<unsafe extern "C" fn(dev: *mut Device) -> c_int>,
    /// The runner's.
    pub is_dbus_handler: bool,
    /// The log directory changed.
    pub update_logdir: Option<unsafe extern "C" fn() -> bool>,
    /// Called once, at registration; non-zero refuses it.
    pub init: Option<unsafe extern "C" fn() -> c_int>,
    /// Called once, when the process ends.
    pub destroy: Option<unsafe extern "C" fn()>,
}

// SAFETY: the table is constant after registration; its functions may be called from any thread.
unsafe impl Sync for Handler {}
// SAFETY: as above.
unsafe impl Send for Handler {}

const _: () = {
    assert!(size_of::<Handler>() == 200);
    assert!(offset_of!(Handler, open) == 48);
    assert!(offset_of!(Handler, nr_threads) == 64);
    assert!(offset_of!(Handler, handle_cmd) == 72);
    assert!(offset_of!(Handler, read) == 80);
    assert!(offset_of!(Handler, write) == 88);
    assert!(offset_of!(Handler, flush) == 96);
    assert!(offset_of!(Handler, unmap) == 104);
    assert!(offset_of!(Handler, writesame) == 112);
    assert!(offset_of!(Handler, caw) == 120);
    assert!(offset_of!(Handler, report_event) == 128);
    assert!(offset_of!(Handler, get_lock_state) == 160);
    assert!(offset_of!(Handler, is_dbus_handler) == 168);
    assert!(offset_of!(Handler, update_logdir) == 176);
    assert!(offset_of!(Handler, init) == 184);
    assert!(offset_of!(Handler, destroy) == 192);
    assert!(size_of::<Cmd>() == 96);
    assert!(offset_of!(Cmd, cmds_list_entry) == 48);
    assert!(offset_of!(Cmd, start_time) == 64);
    assert!(offset_of!(Cmd, timed_out) == 80);
    assert!(offset_of!(Cmd, done) == 88);
    assert!(size_of::<LibCmd>() == 136);
    assert!(offset_of!(LibCmd, sense_buf) == 32);
    assert!(offset_of!(LibCmd, hm_private) == 128);
    assert!(size_of::<CfgInfo>() == 16);
};
