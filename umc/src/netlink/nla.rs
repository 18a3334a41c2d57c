// SPDX-License-Identifier: GPL-2.0-only
//! Netlink attributes.
//!
//! C header: `include/net/netlink.h` (API of 6.12).
//! Guarantees kept: attributes are aligned to four bytes and padded with zeroes; a put that does not fit changes
//! nothing and returns -EMSGSIZE; texts are cut and terminated as `nla_strscpy` promises.
//! Differs from Linux: nothing. 64-bit values need no padding attribute, as on every machine with unaligned access.
//! Used by DRBD for: building its replies and notifications, reading the members of its configuration structs.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use crate::errno::Errno;
use crate::sys;

/// Bytes of an attribute's header.
pub(crate) const HEADER: usize = size_of::<sys::nlattr>();
/// The bits of an attribute's type that are not flags.
pub(crate) const TYPE_MASK: u16 = !((sys::NLA_F_NESTED | sys::NLA_F_NET_BYTEORDER) as u16);

/// Rounds up to the alignment of attributes and messages.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// The attributes of a stream that are whole. [`Attrs::rest`] tells what was left.
pub(crate) struct Attrs {
    at: *const u8,
    left: usize,
}

impl Attrs {
    /// # Safety
    /// `head` has `len` readable bytes as long as the iterator and its attributes are used.
    pub(crate) unsafe fn new(head: *const sys::nlattr, len: c_int) -> Attrs {
        Attrs { at: head.cast(), left: usize::try_from(len).unwrap_or(0) }
    }

    /// Bytes that make no whole attribute.
    pub(crate) fn rest(&self) -> usize {
        self.left
    }
}

impl Iterator for Attrs {
    type Item = *const sys::nlattr;

    fn next(&mut self) -> Option<*const sys::nlattr> {
        if self.left < HEADER {
            return None;
        }
        let nla = self.at.cast::<sys::nlattr>();
        // SAFETY: a header is left (contract of `new`).
        let len = unsafe { (&raw const (*nla).nla_len).read_unaligned() } as usize;
        if len < HEADER || len > self.left {
            return None;
        }
        let step = align(len).min(self.left);
        // SAFETY: `step` bytes are left.
        self.at = unsafe { self.at.add(step) };
        self.left -= step;
        Some(nla)
    }
}

/// The payload of an attribute.
///
/// # Safety
/// `nla` is a whole attribute that lives as long as the result is used.
pub(crate) unsafe fn payload<'a>(nla: *const sys::nlattr) -> &'a [u8] {
    // SAFETY: the caller's contract.
    let len = unsafe { (*nla).nla_len } as usize;
    // SAFETY: the header is followed by its payload.
    unsafe { std::slice::from_raw_parts(nla.cast::<u8>().add(HEADER), len.saturating_sub(HEADER)) }
}

/// The type of an attribute, without its flags.
///
/// # Safety
/// `nla` is a whole attribute.
pub(crate) unsafe fn type_of(nla: *const sys::nlattr) -> u16 {
    // SAFETY: the caller's contract.
    unsafe { (*nla).nla_type & TYPE_MASK }
}

fn without_nul(payload: &[u8]) -> &[u8] {
    payload.strip_suffix(b"\0").unwrap_or(payload)
}

/// The first attribute of the type, or NULL.
///
/// # Safety
/// `head` has `len` readable bytes.
/// # Context
/// Any.
#[unsafe(export_name = "umc_nla_find")]
pub unsafe extern "C" fn nla_find(
    head: *const sys::nlattr,
    len: c_int,
    attrtype: c_int,
) -> *mut sys::nlattr {
    // SAFETY: the caller's contract.
    let mut attrs = unsafe { Attrs::new(head, len) };
    // SAFETY: the iterator gives whole attributes.
    let found = attrs.find(|nla| c_int::from(unsafe { type_of(*nla) }) == attrtype);
    found.unwrap_or(ptr::null()).cast_mut()
}

/// Copies a text into a buffer, terminated and padded with zeroes: its length, or -E2BIG if it was cut.
///
/// # Safety
/// `dst` has `dstsize` writable bytes; `nla` is a whole attribute.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_strscpy(
    dst: *mut c_char,
    nla: *const sys::nlattr,
    dstsize: usize,
) -> isize {
    if dstsize == 0 || dstsize > usize::from(u16::MAX) {
        return Errno::E2BIG.neg() as isize;
    }
    // SAFETY: `nla` is a whole attribute.
    let text = without_nul(unsafe { payload(nla) });
    let len = text.len().min(dstsize - 1);
    // SAFETY: `dst` has room for `dstsize > len` bytes.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), dst.cast(), len) };
    // SAFETY: as above.
    unsafe { ptr::write_bytes(dst.add(len), 0, dstsize - len) };
    if len < text.len() { Errno::E2BIG.neg() as isize } else { len as isize }
}

/// A terminated copy of a text, to be freed with `kfree`; or NULL.
///
/// # Safety
/// `nla` is a whole attribute.
/// # Context
/// Any that `flags` allow.
#[unsafe(export_name = "umc_nla_strdup")]
pub unsafe extern "C" fn nla_strdup(nla: *const sys::nlattr, flags: sys::gfp_t) -> *mut c_char {
    // SAFETY: the caller's contract.
    let text = without_nul(unsafe { payload(nla) });
    let copy = crate::slab::alloc(text.len() + 1, flags).cast::<u8>();
    if !copy.is_null() {
        // SAFETY: just allocated with that size.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), copy, text.len()) };
        // SAFETY: as above.
        unsafe { copy.add(text.len()).write(0) };
    }
    copy.cast()
}

/// A copy of the payload, to be freed with `kfree`; or NULL.
///
/// # Safety
/// `src` is a whole attribute.
/// # Context
/// Any that `gfp` allow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_memdup(src: *const sys::nlattr, gfp: sys::gfp_t) -> *mut c_void {
    // SAFETY: the caller's contract.
    let data = unsafe { payload(src) };
    let copy = crate::slab::alloc(data.len(), gfp).cast::<u8>();
    if !copy.is_null() {
        // SAFETY: just allocated with that size.
        unsafe { ptr::copy_nonoverlapping(data.as_ptr(), copy, data.len()) };
    }
    copy.cast()
}

/// Copies the payload, cut or padded with zeroes to `count` bytes: how many came from the attribute.
///
/// # Safety
/// `dest` has `count` writable bytes; `src` is a whole attribute.
/// # Context
/// Any.
#[unsafe(export_name = "umc_nla_memcpy")]
pub unsafe extern "C" fn nla_memcpy(
    dest: *mut c_void,
    src: *const sys::nlattr,
    count: c_int,
) -> c_int {
    let room = usize::try_from(count).unwrap_or(0);
    // SAFETY: `src` is a whole attribute.
    let data = unsafe { payload(src) };
    let len = data.len().min(room);
    // SAFETY: `dest` has room for `room >= len` bytes.
    unsafe { ptr::copy_nonoverlapping(data.as_ptr(), dest.cast(), len) };
    // SAFETY: as above.
    unsafe { ptr::write_bytes(dest.cast::<u8>().add(len), 0, room - len) };
    len as c_int
}

fn compare(data: &[u8], other: &[u8]) -> c_int {
    match data.len() as c_int - other.len() as c_int {
        0 => data.cmp(other) as c_int,
        longer => longer,
    }
}

/// Compares the payload with memory: its length first, then as memcmp.
///
/// # Safety
/// `data` has `size` readable bytes; `nla` is a whole attribute.
/// # Context
/// Any.
#[unsafe(export_name = "umc_nla_memcmp")]
pub unsafe extern "C" fn nla_memcmp(
    nla: *const sys::nlattr,
    data: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    compare(unsafe { payload(nla) }, unsafe { std::slice::from_raw_parts(data.cast(), size) })
}

/// Compares a text with a string: its length first, then as strcmp.
///
/// # Safety
/// `str` is terminated; `nla` is a whole attribute.
/// # Context
/// Any.
#[unsafe(export_name = "umc_nla_strcmp")]
pub unsafe extern "C" fn nla_strcmp(nla: *const sys::nlattr, str: *const c_char) -> c_int {
    // SAFETY: `nla` is a whole attribute.
    let mut text = unsafe { payload(nla) };
    while let Some(shorter) = text.strip_suffix(b"\0") {
        text = shorter;
    }
    // SAFETY: `str` is terminated.
    compare(text, unsafe { CStr::from_ptr(str) }.to_bytes())
}

/// Whether `skb` has room for `len` more bytes, and a length that the header can hold.
///
/// # Safety
/// `skb` is live.
unsafe fn fits(skb: *const sys::sk_buff, len: usize) -> bool {
    // SAFETY: the caller's contract.
    let skb = unsafe { &*skb };
    len <= (skb.end - skb.tail) as usize && len <= usize::from(u16::MAX) + 3
}

/// Appends an attribute's header and room for its payload. The room must be there.
///
/// # Safety
/// `skb` is live and the caller's.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_reserve(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
) -> *mut sys::nlattr {
    let len = HEADER + attrlen.max(0) as usize;
    // SAFETY: the caller's contract.
    let nla = unsafe { crate::skbuff::skb_put(skb, align(len) as c_uint) }.cast::<sys::nlattr>();
    // SAFETY: `align(len)` bytes were just added there, aligned to four as the whole stream is.
    unsafe { nla.write(sys::nlattr { nla_len: len as u16, nla_type: attrtype as u16 }) };
    // SAFETY: as above.
    unsafe { ptr::write_bytes(nla.cast::<u8>().add(len), 0, align(len) - len) };
    nla
}

/// As [`__nla_reserve`]; no padding is needed for 64 bits.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_reserve_64bit(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
    _padattr: c_int,
) -> *mut sys::nlattr {
    // SAFETY: `skb` is live and the caller's.
    unsafe { __nla_reserve(skb, attrtype, attrlen) }
}

/// Appends zeroes in the place of a payload without header. The room must be there.
///
/// # Safety
/// As for [`__nla_reserve`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_reserve_nohdr(
    skb: *mut sys::sk_buff,
    attrlen: c_int,
) -> *mut c_void {
    let len = align(attrlen.max(0) as usize);
    // SAFETY: `skb` is live and the caller's.
    let start = unsafe { crate::skbuff::skb_put(skb, len as c_uint) };
    // SAFETY: `len` bytes were just added there.
    unsafe { ptr::write_bytes(start.cast::<u8>(), 0, len) };
    start
}

/// Appends an attribute's header and room for its payload, or NULL.
///
/// # Safety
/// `skb` is live and the caller's.
/// # Context
/// Any.
#[unsafe(export_name = "umc_nla_reserve")]
pub unsafe extern "C" fn nla_reserve(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
) -> *mut sys::nlattr {
    // SAFETY: the caller's contract.
    if attrlen < 0 || !unsafe { fits(skb, align(HEADER + attrlen as usize)) } {
        return ptr::null_mut();
    }
    // SAFETY: there is room.
    unsafe { __nla_reserve(skb, attrtype, attrlen) }
}

/// As [`nla_reserve`]; no padding is needed for 64 bits.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_reserve_64bit(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
    _padattr: c_int,
) -> *mut sys::nlattr {
    // SAFETY: `skb` is live and the caller's.
    unsafe { nla_reserve(skb, attrtype, attrlen) }
}

/// Appends zeroes in the place of a payload without header, or NULL.
///
/// # Safety
/// As for [`nla_reserve`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_reserve_nohdr(skb: *mut sys::sk_buff, attrlen: c_int) -> *mut c_void {
    // SAFETY: `skb` is live.
    if attrlen < 0 || !unsafe { fits(skb, align(attrlen as usize)) } {
        return ptr::null_mut();
    }
    // SAFETY: there is room.
    unsafe { __nla_reserve_nohdr(skb, attrlen) }
}

/// Appends an attribute. The room must be there.
///
/// # Safety
/// `skb` is live and the caller's; `data` has `attrlen` readable bytes.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_put(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
    data: *const c_void,
) {
    // SAFETY: `skb` is live and the caller's.
    let nla = unsafe { __nla_reserve(skb, attrtype, attrlen) };
    if attrlen > 0 {
        // SAFETY: the room was just reserved behind the header.
        unsafe {
            ptr::copy_nonoverlapping(
                data.cast::<u8>(),
                nla.cast::<u8>().add(HEADER),
                attrlen as usize,
            )
        };
    }
}

/// As [`__nla_put`]; no padding is needed for 64 bits.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_put_64bit(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
    data: *const c_void,
    _padattr: c_int,
) {
    // SAFETY: `skb` is live and the caller's, and `data` has `attrlen` readable bytes.
    unsafe { __nla_put(skb, attrtype, attrlen, data) };
}

/// Appends a payload without header. The room must be there.
///
/// # Safety
/// As for [`__nla_put`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_put_nohdr(
    skb: *mut sys::sk_buff,
    attrlen: c_int,
    data: *const c_void,
) {
    // SAFETY: `skb` is live and the caller's.
    let start = unsafe { __nla_reserve_nohdr(skb, attrlen) };
    if attrlen > 0 {
        // SAFETY: the room was just reserved.
        unsafe { ptr::copy_nonoverlapping(data.cast::<u8>(), start.cast(), attrlen as usize) };
    }
}

/// Appends an attribute: 0, or -EMSGSIZE.
///
/// # Safety
/// `skb` is live and the caller's; `data` has `attrlen` readable bytes.
/// # Context
/// Any.
#[unsafe(export_name = "umc_nla_put")]
pub unsafe extern "C" fn nla_put(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
    data: *const c_void,
) -> c_int {
    // SAFETY: the caller's contract.
    if attrlen < 0 || !unsafe { fits(skb, align(HEADER + attrlen as usize)) } {
        return Errno::EMSGSIZE.neg();
    }
    // SAFETY: there is room.
    unsafe { __nla_put(skb, attrtype, attrlen, data) };
    0
}

/// As [`nla_put`]; no padding is needed for 64 bits.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_put_64bit(
    skb: *mut sys::sk_buff,
    attrtype: c_int,
    attrlen: c_int,
    data: *const c_void,
    _padattr: c_int,
) -> c_int {
    // SAFETY: `skb` is live and the caller's, and `data` has `attrlen` readable bytes.
    unsafe { nla_put(skb, attrtype, attrlen, data) }
}

/// Appends a payload without header, padded to the alignment: 0, or -EMSGSIZE.
///
/// # Safety
/// As for [`nla_put`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_put_nohdr(
    skb: *mut sys::sk_buff,
    attrlen: c_int,
    data: *const c_void,
) -> c_int {
    // SAFETY: `skb` is live.
    if attrlen < 0 || !unsafe { fits(skb, align(attrlen as usize)) } {
        return Errno::EMSGSIZE.neg();
    }
    // SAFETY: there is room.
    unsafe { __nla_put_nohdr(skb, attrlen, data) };
    0
}

/// Appends a payload without header and without padding: 0, or -EMSGSIZE.
///
/// # Safety
/// As for [`nla_put`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_append(
    skb: *mut sys::sk_buff,
    attrlen: c_int,
    data: *const c_void,
) -> c_int {
    let len = attrlen.max(0) as usize;
    // SAFETY: `skb` is live.
    if !unsafe { fits(skb, len) } {
        return Errno::EMSGSIZE.neg();
    }
    // SAFETY: there is room.
    let start = unsafe { crate::skbuff::skb_put(skb, len as c_uint) };
    // SAFETY: as above; the caller's data has that length.
    unsafe { ptr::copy_nonoverlapping(data.cast::<u8>(), start.cast(), len) };
    0
}
