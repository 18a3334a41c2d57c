// SPDX-License-Identifier: GPL-2.0-only
//! Short texts, put together without an allocation.

use core::ffi::CStr;

/// `first` + `parts` + NUL in `out`.
pub fn join<'a>(first: &[u8], parts: &[&[u8]], out: &'a mut [u8]) -> Option<&'a CStr> {
    let mut len = 0;
    for part in core::iter::once(&first).chain(parts).chain([&&b"\0"[..]]) {
        out.get_mut(len..len + part.len())?.copy_from_slice(part);
        len += part.len();
    }
    CStr::from_bytes_with_nul(&out[..len]).ok()
}

/// `number` in decimal, at the end of `room`.
pub fn decimal(number: u32, room: &mut [u8; 10]) -> &[u8] {
    let mut rest = number;
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_or_refused() {
        let mut out = [0; 8];
        assert_eq!(join(b"/a", &[b"/b", b"/c"], &mut out), Some(c"/a/b/c"));
        assert_eq!(join(b"/a", &[b"/bcde", b"f"], &mut out), None);
    }

    #[test]
    fn decimal_writes_every_digit() {
        assert_eq!(decimal(0, &mut [0; 10]), b"0");
        assert_eq!(decimal(147, &mut [0; 10]), b"147");
        assert_eq!(decimal(u32::MAX, &mut [0; 10]), b"4294967295");
    }
}
