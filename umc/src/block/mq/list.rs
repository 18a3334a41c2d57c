// SPDX-License-Identifier: GPL-2.0-only
//! Lists of requests, linked by `rq_next`: no entry is allocated, and a plug of C holds one.

use std::ptr;

use crate::sys;

/// Requests that wait together, in order. Invariant: each is valid and belongs to whoever has the list.
#[repr(transparent)]
#[derive(Default)]
pub(crate) struct List(sys::rq_list);

// SAFETY: a list owns its requests (invariant), which belong to no thread.
unsafe impl Send for List {}

impl List {
    /// A list that a C struct holds.
    ///
    /// # Safety
    /// `list` keeps the invariant of [`List`], and is the caller's alone for as long as the result is used.
    pub(crate) unsafe fn from_sys<'a>(list: *mut sys::rq_list) -> &'a mut List {
        // SAFETY: the caller's contract; the type is transparent.
        unsafe { &mut *list.cast::<List>() }
    }

    pub(crate) fn as_sys(&mut self) -> *mut sys::rq_list {
        &raw mut self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.head.is_null()
    }

    /// The first request; NULL when there is none.
    pub(crate) fn first(&self) -> *mut sys::request {
        self.0.head
    }

    /// The last request; NULL when there is none.
    pub(crate) fn last(&self) -> *mut sys::request {
        if self.is_empty() { ptr::null_mut() } else { self.0.tail }
    }

    /// Puts a request last.
    ///
    /// # Safety
    /// `rq` is valid, in no list, and belongs to the list from here on.
    pub(crate) unsafe fn push(&mut self, rq: *mut sys::request) {
        // SAFETY: the caller's contract.
        unsafe { set_next(rq, ptr::null_mut()) };
        self.append(List(sys::rq_list { head: rq, tail: rq }));
    }

    /// Puts a request first.
    ///
    /// # Safety
    /// As [`List::push`].
    pub(crate) unsafe fn push_front(&mut self, rq: *mut sys::request) {
        // SAFETY: the caller's contract.
        unsafe { set_next(rq, self.0.head) };
        if self.is_empty() {
            self.0.tail = rq;
        }
        self.0.head = rq;
    }

    /// Takes the first request out.
    pub(crate) fn pop(&mut self) -> Option<*mut sys::request> {
        let first = self.0.head;
        if first.is_null() {
            return None;
        }
        // SAFETY: the request is valid (invariant).
        unsafe {
            self.0.head = next(first);
            set_next(first, ptr::null_mut());
        }
        Some(first)
    }

    /// Puts `more` behind this list.
    pub(crate) fn append(&mut self, more: List) {
        if more.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = more;
        } else {
            // SAFETY: the last request is valid (invariant).
            unsafe { set_next(self.0.tail, more.0.head) };
            self.0.tail = more.0.tail;
        }
    }

    /// All requests; none is left.
    pub(crate) fn take(&mut self) -> List {
        std::mem::take(self)
    }

    /// The requests, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = *mut sys::request> + '_ {
        let mut at = self.0.head;
        std::iter::from_fn(move || {
            let this = at;
            if this.is_null() {
                return None;
            }
            // SAFETY: the list is borrowed, and its requests are valid (invariant).
            at = unsafe { next(this) };
            Some(this)
        })
    }
}

/// # Safety
/// `rq` is a valid request whose link nobody changes meanwhile.
unsafe fn next(rq: *mut sys::request) -> *mut sys::request {
    // SAFETY: the caller's contract; a link is NULL or a pointer, whichever member of the union wrote it last.
    unsafe { (*rq).__bindgen_anon_1.rq_next }
}

/// # Safety
/// `rq` is a valid request whose link is the caller's to change.
unsafe fn set_next(rq: *mut sys::request, to: *mut sys::request) {
    // SAFETY: the caller's contract.
    unsafe { (*rq).__bindgen_anon_1.rq_next = to }
}
