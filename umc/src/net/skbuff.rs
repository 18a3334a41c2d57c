// SPDX-License-Identifier: GPL-2.0-only
//! Socket buffers.
//!
//! C header: `include/linux/skbuff.h` (API of 6.12).
//! Guarantees kept: a buffer lives until its last reference is dropped; putting more than fits, pushing before the head
//! or trimming is checked as in Linux (a put past the end is a bug of the driver and ends the process).
//! Differs from Linux: one linear piece of memory, exactly as large as asked for; a clone is a copy.
//! Used by DRBD for: netlink replies and notifications; what its TCP transports are shown of a stream (9 only).

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys;

/// Most bytes one buffer may have: larger sizes are a driver's arithmetic gone wrong.
const SIZE_MAX: c_uint = 64 << 20;

/// An owned reference to a buffer, for Rust code.
pub(crate) struct Skb(*mut sys::sk_buff);

// SAFETY: a buffer is plain memory, and the reference count is atomic.
unsafe impl Send for Skb {}

impl Skb {
    /// A buffer with room for `size` bytes.
    pub(crate) fn new(size: usize) -> Option<Skb> {
        let size = c_uint::try_from(size).ok()?;
        // SAFETY: plain values.
        let skb = unsafe { alloc_skb(size, 0) };
        (!skb.is_null()).then_some(Skb(skb))
    }

    /// A buffer that holds a copy of `bytes` and has no room left.
    pub(crate) fn copy_of(bytes: &[u8]) -> Option<Skb> {
        let skb = Skb::new(bytes.len())?;
        // SAFETY: the buffer has just that much room.
        unsafe {
            ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                skb_put(skb.0, bytes.len() as c_uint).cast(),
                bytes.len(),
            )
        };
        Some(skb)
    }

    /// Takes over the caller's reference.
    ///
    /// # Safety
    /// `skb` came from [`alloc_skb`] and the caller owns a reference to it.
    pub(crate) unsafe fn from_raw(skb: *mut sys::sk_buff) -> Skb {
        Skb(skb)
    }

    /// One more reference to a buffer.
    ///
    /// # Safety
    /// `skb` came from [`alloc_skb`] and is alive.
    pub(crate) unsafe fn share(skb: *mut sys::sk_buff) -> Skb {
        users(skb).fetch_add(1, Ordering::Relaxed);
        Skb(skb)
    }

    /// The same buffer as if it were new; none where somebody else refers to it, or has to be told of its end.
    pub(crate) fn emptied(self) -> Option<Skb> {
        // SAFETY: alive as long as `self`.
        if users(self.0).load(Ordering::Acquire) != 1 || unsafe { (*self.0).destructor.is_some() } {
            return None;
        }
        // SAFETY: that was the only reference.
        let skb = unsafe { &mut *self.0 };
        let (head, end, truesize) = (skb.head, skb.end, skb.truesize);
        *skb = sys::sk_buff { head, data: head, end, truesize, ..Default::default() };
        users(self.0).store(1, Ordering::Relaxed);
        Some(self)
    }

    /// The buffer, as drivers see it.
    pub(crate) fn as_ptr(&self) -> *mut sys::sk_buff {
        self.0
    }

    /// The data.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is alive as long as `self`; data and length describe its inside.
        unsafe { std::slice::from_raw_parts((*self.0).data, (*self.0).len as usize) }
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: `self` owns a reference.
        unsafe { kfree_skb(self.0) };
    }
}

fn users(skb: *mut sys::sk_buff) -> &'static AtomicI32 {
    // SAFETY: a `refcount_t` is one int, used atomically on both sides; the buffer outlives the use by contract of
    // every caller.
    unsafe { AtomicI32::from_ptr((&raw mut (*skb).users).cast()) }
}

/// What Linux would have allocated for a buffer of `size`.
fn truesize(size: c_uint) -> c_uint {
    size + sys::UMC_SKB_SHARED_INFO_SIZE as c_uint + size_of::<sys::sk_buff>() as c_uint
}

/// Makes an empty buffer with room for `size` bytes, or NULL.
///
/// # Safety
/// None; the result is dropped with [`kfree_skb`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alloc_skb(size: c_uint, _priority: sys::gfp_t) -> *mut sys::sk_buff {
    if size > SIZE_MAX {
        return ptr::null_mut();
    }
    // SAFETY: plain sizes. The data is an allocation of its own, so that a checker sees every overrun.
    let head = unsafe { libc::calloc(1, size.max(1) as usize) }.cast::<u8>();
    // SAFETY: as above; all-zero is a valid buffer.
    let skb = unsafe { libc::calloc(1, size_of::<sys::sk_buff>()) }.cast::<sys::sk_buff>();
    if head.is_null() || skb.is_null() {
        // SAFETY: either is NULL or was just allocated.
        unsafe { libc::free(head.cast()) };
        // SAFETY: as above.
        unsafe { libc::free(skb.cast()) };
        return ptr::null_mut();
    }
    // SAFETY: just allocated.
    let new = unsafe { &mut *skb };
    (new.head, new.data, new.end, new.truesize) = (head, head, size, truesize(size));
    users(skb).store(1, Ordering::Relaxed);
    skb
}

/// Drops a reference; the last one frees the buffer. NULL is allowed.
///
/// # Safety
/// The caller owns a reference.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kfree_skb(skb: *mut sys::sk_buff) {
    if skb.is_null() || users(skb).fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    // SAFETY: that was the last reference, so the buffer is ours alone.
    if let Some(destructor) = unsafe { (*skb).destructor } {
        // SAFETY: the driver's own function, called once, with the buffer still whole.
        unsafe { destructor(skb) };
    }
    // SAFETY: both came from calloc in `alloc_skb` or `pskb_expand_head`.
    unsafe { libc::free((*skb).head.cast()) };
    // SAFETY: as above.
    unsafe { libc::free(skb.cast()) };
}

/// As [`kfree_skb`], for a buffer that did its work.
///
/// # Safety
/// As for [`kfree_skb`].
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn consume_skb(skb: *mut sys::sk_buff) {
    // SAFETY: the caller owns a reference, and gives it up.
    unsafe { kfree_skb(skb) };
}

/// A private copy with the same head- and tailroom, or NULL.
///
/// # Safety
/// `skb` is a live buffer.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_copy(
    skb: *const sys::sk_buff,
    priority: sys::gfp_t,
) -> *mut sys::sk_buff {
    // SAFETY: the caller's contract.
    let old = unsafe { &*skb };
    // SAFETY: a plain size.
    let copy = unsafe { alloc_skb(old.end, priority) };
    if !copy.is_null() {
        // SAFETY: just allocated, with the room of the old one.
        let new = unsafe { &mut *copy };
        // SAFETY: `end` bytes are allocated on both sides.
        unsafe { ptr::copy_nonoverlapping(old.head, new.head, old.end as usize) };
        // SAFETY: the data lies inside the head of the old one, hence at that offset of the new one.
        new.data = unsafe { new.head.offset(old.data.offset_from(old.head)) };
        (new.tail, new.len, new.cb, new.sk) = (old.tail, old.len, old.cb, old.sk);
        new.protocol = old.protocol;
    }
    copy
}

/// A second buffer with the same data, or NULL. Here it is a copy.
///
/// # Safety
/// `skb` is a live buffer.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_clone(
    skb: *mut sys::sk_buff,
    priority: sys::gfp_t,
) -> *mut sys::sk_buff {
    // SAFETY: the caller's contract.
    unsafe { skb_copy(skb, priority) }
}

/// Appends room for `len` bytes and returns its start.
///
/// # Safety
/// `skb` is a live buffer of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_put(skb: *mut sys::sk_buff, len: c_uint) -> *mut c_void {
    // SAFETY: the caller's contract.
    let skb = unsafe { &mut *skb };
    assert!(len <= skb.end - skb.tail, "skb_put of {len} bytes, room for {}", skb.end - skb.tail);
    // SAFETY: the tail lies inside the head's allocation.
    let start = unsafe { skb.head.add(skb.tail as usize) };
    skb.tail += len;
    skb.len += len;
    start.cast()
}

/// Prepends room for `len` bytes and returns its start.
///
/// # Safety
/// `skb` is a live buffer of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_push(skb: *mut sys::sk_buff, len: c_uint) -> *mut c_void {
    // SAFETY: the caller's contract.
    let skb = unsafe { &mut *skb };
    let headroom = skb.data.addr() - skb.head.addr();
    assert!(len as usize <= headroom, "skb_push of {len} bytes, room for {headroom}");
    // SAFETY: checked just now.
    skb.data = unsafe { skb.data.sub(len as usize) };
    skb.len += len;
    skb.data.cast()
}

/// Takes `len` bytes off the front; NULL when there are not as many.
///
/// # Safety
/// `skb` is a live buffer of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_pull(skb: *mut sys::sk_buff, len: c_uint) -> *mut c_void {
    // SAFETY: the caller's contract.
    let skb = unsafe { &mut *skb };
    if len > skb.len {
        return ptr::null_mut();
    }
    // SAFETY: checked just now.
    skb.data = unsafe { skb.data.add(len as usize) };
    skb.len -= len;
    skb.data.cast()
}

/// Cuts the data to `len` bytes; longer than it is has no effect.
///
/// # Safety
/// `skb` is a live buffer of the caller.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_trim(skb: *mut sys::sk_buff, len: c_uint) {
    // SAFETY: the caller's contract.
    let skb = unsafe { &mut *skb };
    if len < skb.len {
        skb.tail -= skb.len - len;
        skb.len = len;
    }
}

/// Moves the data to a larger allocation with `nhead` and `ntail` more bytes before and behind: 0 or -ENOMEM.
///
/// # Safety
/// `skb` is a live buffer that only the caller refers to.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pskb_expand_head(
    skb: *mut sys::sk_buff,
    nhead: c_int,
    ntail: c_int,
    _gfp_mask: sys::gfp_t,
) -> c_int {
    // SAFETY: the caller's contract.
    let skb = unsafe { &mut *skb };
    let (before, behind) = (nhead.max(0) as c_uint, ntail.max(0) as c_uint);
    let size = skb.end + before + behind;
    if size > SIZE_MAX {
        return crate::Errno::ENOMEM.neg();
    }
    // SAFETY: a plain size.
    let head = unsafe { libc::calloc(1, size as usize) }.cast::<u8>();
    if head.is_null() {
        return crate::Errno::ENOMEM.neg();
    }
    let data = before as usize + (skb.data.addr() - skb.head.addr());
    // SAFETY: the new head has room for the old one behind `before` bytes.
    unsafe { ptr::copy_nonoverlapping(skb.head, head.add(before as usize), skb.end as usize) };
    // SAFETY: the old head came from calloc, and nothing points into it any more.
    unsafe { libc::free(skb.head.cast()) };
    // SAFETY: `data` lies inside the new head.
    (skb.head, skb.data) = (head, unsafe { head.add(data) });
    (skb.tail, skb.end, skb.truesize) = (skb.tail + before, size, truesize(size));
    0
}

/// Begins to read the bytes `from` up to `to` of a buffer.
///
/// # Safety
/// The buffer lives until the reading ends; `st` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_prepare_seq_read(
    skb: *mut sys::sk_buff,
    from: c_uint,
    to: c_uint,
    st: *mut sys::skb_seq_state,
) {
    let state = sys::skb_seq_state {
        lower_offset: from,
        upper_offset: to,
        root_skb: skb,
        cur_skb: skb,
        ..Default::default()
    };
    // SAFETY: the caller's contract.
    unsafe { st.write(state) };
}

/// The block that begins `consumed` bytes behind where the reading began: its length, 0 at the end.
///
/// # Safety
/// `st` was prepared, and its buffer is alive; `data` is writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_seq_read(
    consumed: c_uint,
    data: *mut *const u8,
    st: *mut sys::skb_seq_state,
) -> c_uint {
    // SAFETY: the caller's contract.
    let (st, skb) = unsafe { (&*st, &*(*st).cur_skb) };
    let at = st.lower_offset.saturating_add(consumed);
    let end = st.upper_offset.min(skb.len);
    if at >= end {
        return 0;
    }
    // SAFETY: `at` is inside the buffer's data.
    unsafe { *data = skb.data.add(at as usize) };
    end - at
}

/// Ends a reading before its end; nothing is held.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skb_abort_seq_read(_st: *mut sys::skb_seq_state) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_references() {
        let skb = Skb::copy_of(b"abcdef").unwrap();
        // SAFETY: a live buffer.
        unsafe {
            assert_eq!(pskb_expand_head(skb.as_ptr(), 4, 2, 0), 0);
            skb_push(skb.as_ptr(), 2).cast::<[u8; 2]>().write(*b"<<");
            skb_put(skb.as_ptr(), 2).cast::<[u8; 2]>().write(*b">>");
            assert_eq!(skb.bytes(), b"<<abcdef>>");
            let copy = Skb::from_raw(skb_copy(skb.as_ptr(), 0));
            assert!(!skb_pull(skb.as_ptr(), 3).is_null());
            skb_trim(skb.as_ptr(), 3);
            assert!(skb_pull(skb.as_ptr(), 4).is_null());
            assert_eq!((skb.bytes(), copy.bytes()), (&b"bcd"[..], &b"<<abcdef>>"[..]));
        }
    }
}
