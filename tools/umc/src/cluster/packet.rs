// SPDX-License-Identifier: GPL-2.0-only
//! Frames of an interface, by a packet socket.
//!
//! Each frame comes and goes with the head of virtio's networks in front: it says what the sender left to the hardware, large
//! segments and checksums, and so a frame arrives at another interface as it left the first.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// `struct virtio_net_hdr`.
pub const HEADER: usize = 10;
/// Where it says into which pieces a frame is to be cut: their kind, the length of their head, the length of their data.
const GSO_TYPE: usize = 1;
const GSO_HEAD: usize = 2;
const GSO_SIZE: usize = 4;
/// Destination, source and type.
const ETHERNET: usize = 14;
/// The longest, with room for what the kernel may add.
pub const FRAME_MAX: usize = HEADER + ETHERNET + (64 << 10) + 256;

/// `<linux/if_packet.h>`, where the crate libc lacks it.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Opens all that comes to an interface of the calling thread's network, whoever it is for.
///
/// # Errors
/// There is no such interface, or the host has no packet sockets.
pub fn open(interface: &str) -> io::Result<OwnedFd> {
    let all = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Bound below: until then nothing comes.
    // SAFETY: only numbers are passed.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the call returned a new descriptor, which nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set(&fd, libc::PACKET_VNET_HDR, 1)?;
    set(&fd, PACKET_IGNORE_OUTGOING, 1)?;
    let name = CString::new(interface)?;
    // SAFETY: the name ends with a zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero is a valid address of this kind.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = all;
    address.sll_ifindex = index.cast_signed();
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is whole, and its length is right.
    Errno::result(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
    Ok(fd)
}

fn set(fd: &OwnedFd, option: libc::c_int, value: libc::c_int) -> nix::Result<()> {
    let (at, len) = ((&raw const value).cast(), size_of_val(&value) as libc::socklen_t);
    // SAFETY: the value is there for the call, and its length is right.
    let ret = unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, option, at, len) };
    Errno::result(ret).map(drop)
}

/// The next frame, with its head; nothing when none is there.
pub fn receive(fd: RawFd, buffer: &mut [u8]) -> Option<usize> {
    loop {
        // SAFETY: the buffer is there for the call, and its length is right.
        let len = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match Errno::result(len) {
            Ok(len) => return Some(len as usize),
            Err(Errno::EINTR) => {}
            // ENETDOWN is told once, when the interface goes down.
            Err(_) => return None,
        }
    }
}

/// Sends one; what the interface does not take is lost, as on a wire.
pub fn send(fd: &OwnedFd, frame: &[u8]) {
    // SAFETY: the frame is there for the call, and its length is right.
    let _ = unsafe { libc::send(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
}

/// For whom a frame is, and from whom.
pub fn addresses(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    let to = frame.get(HEADER..HEADER + 6)?.try_into().ok()?;
    let from = frame.get(HEADER + 6..HEADER + 12)?.try_into().ok()?;
    Some((to, from))
}

/// How many bits a frame is on a wire, in the pieces that it is cut into.
pub fn bits_on_the_wire(frame: &[u8]) -> u64 {
    let len = (frame.len().saturating_sub(HEADER)) as u64;
    let word = |at: usize| u64::from(u16::from_ne_bytes([frame[at], frame[at + 1]]));
    let (head, size) = (word(GSO_HEAD), word(GSO_SIZE));
    let more_heads = match frame[GSO_TYPE] != 0 && size > 0 {
        true => len.saturating_sub(head).div_ceil(size).saturating_sub(1) * head,
        false => 0,
    };
    8 * (len + more_heads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_frame_is_as_long_as_its_pieces() {
        let mut frame = vec![0; HEADER + 54 + 3000];
        assert_eq!(bits_on_the_wire(&frame), 8 * 3054);
        frame[GSO_TYPE] = 1;
        frame[GSO_HEAD..][..2].copy_from_slice(&54_u16.to_ne_bytes());
        frame[GSO_SIZE..][..2].copy_from_slice(&1448_u16.to_ne_bytes());
        // 1448 + 1448 + 104, each behind a head.
        assert_eq!(bits_on_the_wire(&frame), 8 * (3000 + 3 * 54));
        frame[HEADER..HEADER + 12].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(addresses(&frame), Some(([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12])));
        assert_eq!(addresses(&frame[..15]), None);
    }
}
