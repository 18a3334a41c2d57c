// SPDX-License-Identifier: GPL-2.0-only
//! The tunnel: what a program does with a character device of a node, and ioctls of its block devices.
//!
//! On Linux a driver reads and writes the memory of its caller, and takes its descriptors, while the call runs; what an
//! argument means only the driver knows. So the node asks the caller back.
//!
//! A connection whose hello is [`crate::HELLO_TUNNEL`] is an open character device after an [`Open`] record, which the node
//! answers with an [`Opened`] record. It stays that through dup(2), fork(2) and exec(2), and to be closed
//! by the last one is the release. While it is ready for reading, by the driver's poll, one record of [`READY`] waits in it.
//! A record without descriptors is data that the program writes past its hooks, as stdio does.
//! A connection without the [`Open`] stands for no open file and has one call, of a block device.
//!
//! Each [`Call`] brings descriptors along: a SEQPACKET socket on which the two talk about it, the reading end of a pipe, and
//! for a block device its file. A byte in the pipe is a signal of the caller, its end the caller's own. The node sends
//! [`Ask`]s on the socket, each answered with a [`Reply`]; the last one is the result.

use core::mem::size_of;

/// What of the caller's memory is asked for at a time at most, in bytes.
pub const PIECE_MAX: usize = 64 * 1024;

/// The record that waits in the connection of an open device as long as it is ready for reading.
pub const READY: [u8; 8] = *b"UMCready";

/// Marks the socket that an open device is: SO_RCVLOWAT, which nothing else looks at on a socket that keeps records apart,
/// is this with the device's number. So a program knows a descriptor that it inherited.
pub const MARK: u32 = 1 << 30;

/// The most that a major number is in [`MARK`]: as many as character devices have.
pub const MAJORS: u32 = 512;

/// A record of fields in native byte order.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$of])* pub $field: $ty,)*
        }

        impl $name {
            /// Bytes of the record.
            pub const LEN: usize = 0 $(+ size_of::<$ty>())*;

            /// As it is sent.
            pub fn to_bytes(self) -> [u8; Self::LEN] {
                let mut bytes = [0; Self::LEN];
                let mut at = 0;
                $(
                    bytes[at..at + size_of::<$ty>()].copy_from_slice(&self.$field.to_ne_bytes());
                    at += size_of::<$ty>();
                )*
                debug_assert!(at == Self::LEN);
                bytes
            }

            /// From the beginning of what was received; None where that is shorter.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let mut rest = bytes.get(..Self::LEN)?;
                $(
                    let (field, behind) = rest.split_at(size_of::<$ty>());
                    let $field = <$ty>::from_ne_bytes(field.try_into().ok()?);
                    rest = behind;
                )*
                debug_assert!(rest.is_empty());
                Some($name { $($field,)* })
            }
        }
    };
}

record! {
    /// Caller to node: opens a character device.
    Open {
        /// [`Open::KIND`].
        kind: u32,
        /// Its number: twelve bits of major number, twenty of minor number.
        devt: u32,
        /// The flags of open(2).
        flags: i32,
    }
}

impl Open {
    /// What this record begins with.
    pub const KIND: u32 = 1;
}

record! {
    /// Node to caller: how the open went.
    Opened {
        /// 0, or an errno.
        error: i32,
        /// 1 where the device is ready for reading: [`READY`] follows.
        is_ready: u32,
    }
}

record! {
    /// Caller to node: a system call.
    Call {
        /// [`Call::IOCTL`] and its kin.
        kind: u32,
        /// [`Call::NONBLOCKING`].
        flags: u32,
        /// The number of an ioctl.
        cmd: u32,
        /// The argument of an ioctl, or the address of a buffer.
        arg: u64,
        /// Bytes of the buffer.
        len: u64,
    }
}

impl Call {
    /// ioctl(2).
    pub const IOCTL: u32 = 2;
    /// read(2).
    pub const READ: u32 = 3;
    /// write(2).
    pub const WRITE: u32 = 4;
    /// In `flags`: the file has O_NONBLOCK.
    pub const NONBLOCKING: u32 = 1;
}

record! {
    /// Node to caller.
    Ask {
        /// [`Ask::FETCH`] and its kin.
        kind: u32,
        /// Of [`Ask::DESCRIPTOR`] the descriptor, of [`Ask::RESULT`] [`Ask::WITHDRAW`] or 0.
        number: u32,
        /// An address; of [`Ask::RESULT`] an i64, what the system call returns, or a negative errno of the kernel.
        value: u64,
        /// Bytes at the address.
        len: u64,
    }
}

impl Ask {
    /// The bytes at an address are wanted: behind the reply.
    pub const FETCH: u32 = 1;
    /// The bytes behind this record belong at an address.
    pub const STORE: u32 = 2;
    /// A descriptor is wanted: with the reply.
    pub const DESCRIPTOR: u32 = 3;
    /// The end of the call. Not replied to.
    pub const RESULT: u32 = 4;
    /// In `number`: the device is not ready any more, and the caller takes the record [`READY`] out of its connection.
    pub const WITHDRAW: u32 = 1;
}

record! {
    /// Caller to node: the reply to an [`Ask`].
    Reply {
        /// 0, or an errno.
        error: i32,
    }
}

/// The mark of a device with these numbers; None for a major number that no character device has.
pub fn mark(major: u32, minor: u32) -> Option<u32> {
    (major < MAJORS && minor < 1 << 20).then_some(MARK | major << 20 | minor)
}

/// The device of a mark: major and minor number.
pub fn marked(mark: u32) -> Option<(u32, u32)> {
    let number = mark.checked_sub(MARK).filter(|number| *number < MAJORS << 20)?;
    Some((number >> 20, number & 0xf_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_sent() {
        let call = Call { kind: Call::IOCTL, flags: 1, cmd: 0xc138_fd00, arg: 1 << 47, len: 7 };
        assert_eq!((Open::LEN, Call::LEN, Ask::LEN, Reply::LEN), (12, 28, 24, 4));
        assert_eq!(Call::from_bytes(&call.to_bytes()), Some(call));
        let ask = Ask { kind: Ask::RESULT, number: 0, value: (-25_i64).cast_unsigned(), len: 0 };
        let mut longer = ask.to_bytes().to_vec();
        longer.extend([9; 100]);
        assert_eq!(Ask::from_bytes(&longer), Some(ask));
        assert_eq!(Ask::from_bytes(&longer[..Ask::LEN - 1]), None);
    }

    #[test]
    fn marks_tell_devices() {
        for device in [(10, 236), (511, 0xf_ffff), (0, 0)] {
            assert_eq!(marked(mark(device.0, device.1).unwrap()), Some(device));
        }
        assert_eq!(mark(512, 0), None);
        for other in [0, 1, MARK - 1, u32::MAX, i32::MAX as u32] {
            assert_eq!(marked(other), None, "{other:#x}");
        }
    }
}
