// SPDX-License-Identifier: GPL-2.0-only
//! What `umc`, `umcd` and the redirector agree on.
//!
//! A node has one control socket, AF_UNIX SOCK_SEQPACKET, at `BASE/NODE/control`
//! ([`node::node_dir`]). The first record of a client is a hello of eight bytes that picks the
//! service; everything after it belongs to that service:
//!
//! - [`HELLO_GENL`]: generic netlink. Each record is one netlink datagram, both ways, with the
//!   in-band control records of [`genl`]. The redirector (`tools/preload`) speaks this.
//! - [`HELLO_TUNNEL`]: system calls on the node's devices, as [`tunnel`] says. The redirector speaks this, too.
//! - [`HELLO_CONTROL`]: JSON. Each record is one [`control::Request`]; the node answers each request
//!   with one [`control::Reply`], `dmesg` with several. `umc` speaks this.
//!
//! A client is judged by the kernel's SO_PEERCRED of its connection.
//!
//! Here is also what two of them have to read in the same way: what a disk is in words ([`disk`]), which programs `umc`
//! acts for ([`programs`]), what DRBD calls its states ([`drbd`]), what stock tools keep ([`tools`]) and leave running ([`daemons`]), and command lines that have
//! a manual page.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

pub mod address;
pub mod control;
pub mod daemons;
pub mod disk;
pub mod drbd;
pub mod node;
pub mod process;
pub mod programs;
#[cfg(feature = "command-lines")]
pub mod sim_args;
pub mod size;
pub mod systemctl;
pub mod tools;
pub mod tunnel;
#[cfg(feature = "command-lines")]
pub mod umcd_args;

/// First record of a generic netlink client.
pub const HELLO_GENL: [u8; 8] = *b"UMCgenl\0";

/// First record of a control client (JSON).
pub const HELLO_CONTROL: [u8; 8] = *b"UMCctl\0\0";

/// First record of a client that makes system calls on devices.
pub const HELLO_TUNNEL: [u8; 8] = *b"UMCtun\0\0";

/// No record of any service is longer than this. A SEQPACKET record has to fit the sender's
/// socket buffer, whose default is 212992 bytes less bookkeeping.
pub const RECORD_MAX: usize = 128 * 1024;

/// In-band records of the netlink service: netlink headers whose type no netlink family can own
/// (below `NLMSG_MIN_TYPE` 0x10 are control messages, from there families are numbered up).
pub mod genl {
    /// Client to node: join the multicast group whose u32 id (native endian) is the body. Takes effect before the next
    /// record of the same client is looked at. Answered as [`ANSWER_LEN`] says.
    pub const JOIN_GROUP: u16 = 0x0f01;
    /// Client to node: leave the group. Body, order and answer as [`JOIN_GROUP`].
    pub const LEAVE_GROUP: u16 = 0x0f02;
    /// Client to node, no body: only the answer is wanted.
    pub const WHO_AM_I: u16 = 0x0f03;
    /// A socket that comes with one of these records (SCM_RIGHTS) gets an answer of as many bytes: an i32, which is 0 or
    /// an error as from setsockopt(2), and the client's port id, a u32. The connection itself carries no answers, since
    /// messages of the driver may stand before them.
    pub const ANSWER_LEN: usize = 8;
    /// Node to client, no body: messages were dropped because the client read too slowly. The
    /// client's next receive fails once with ENOBUFS, as on a real netlink socket.
    pub const OVERRUN: u16 = 0x0fff;
}

/// The flag of FUSE_OPEN that claims a block device for its opener alone. The host takes O_EXCL, which does that on
/// Linux, out before a FUSE server sees the flags, and passes O_ASYNC, which means nothing at open(2): the redirector adds
/// it to each exclusive open of a name in the tree.
pub const OPEN_EXCLUSIVE: i32 = 0o20000;

/// The flag (O_NOATIME) of who knows that it opens a block device, which claims protect as they do on Linux: they do not
/// keep others from writing. The redirector adds it to each open of a name in the tree for writing. Without it such an
/// open is refused while somebody claims the device: to a program of the host, or to its loop device, the device is a file
/// like any other.
pub const OPEN_REDIRECTED: i32 = 0o1000000;

/// Names in the node's FUSE tree, relative to `UMC_FS_ROOT`, and ioctls of the block devices there.
pub mod tree {
    /// Symlink to the control socket.
    pub const CONTROL: &str = ".umc/control";
    /// Symlink to the real directory that holds what tools keep outside /dev, /proc and /sys.
    pub const STATE: &str = ".umc/state";
    /// The node's host name, what `uname -n` says under `umc run`.
    pub const HOSTNAME: &str = "proc/sys/kernel/hostname";

    /// What the file of a block device is asked for its size in bytes with, an u64, as the device itself is on Linux.
    pub use handler_abi::BLKGETSIZE64;
    /// Discards a range of a block device: `_IOW('U', 1, u64[2])`, offset and length in bytes. FUSE does not hand on the
    /// argument of Linux's BLKDISCARD.
    pub const IOC_DISCARD: u32 = 0x4010_5501;
    /// Zeroes a range without unmapping: `_IOW('U', 2, u64[2])`, as [`IOC_DISCARD`].
    pub const IOC_ZERO_OUT: u32 = 0x4010_5502;
}
