// SPDX-License-Identifier: GPL-2.0-only
//! Tags: numbers of requests, and the requests themselves, which are made with them.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::UnsafeCell;
use std::ffi::c_uint;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::wait::WaitQueue;
use crate::{Errno, Result, sys};

/// Which of `count` numbers from `first` on are taken.
struct Map {
    first: u32,
    count: u32,
    words: Box<[AtomicU64]>,
}

impl Map {
    fn new(first: u32, count: u32) -> Map {
        let words: Box<[AtomicU64]> = (0..count.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        if !count.is_multiple_of(64) {
            let last = words.last().expect("a part of a word is a word");
            last.store(u64::MAX << (count % 64), Ordering::Relaxed);
        }
        Map { first, count, words }
    }

    /// Takes a free number. Those who take at the same time begin at words of their own.
    fn take(&self, hint: u32) -> Option<u32> {
        let words = self.words.len();
        for at in 0..words {
            let index = (hint as usize + at) % words;
            let word = &self.words[index];
            let mut seen = word.load(Ordering::Relaxed);
            while seen != u64::MAX {
                let bit = (!seen).trailing_zeros();
                match word.compare_exchange_weak(
                    seen,
                    seen | 1 << bit,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(self.first + index as u32 * 64 + bit),
                    Err(now) => seen = now,
                }
            }
        }
        None
    }

    fn put(&self, tag: u32) {
        let at = tag - self.first;
        let was = self.words[at as usize / 64].fetch_and(!(1 << (at % 64)), Ordering::SeqCst);
        debug_assert!(was & (1 << (at % 64)) != 0, "tag {tag} is given back twice");
    }

    fn has(&self, tag: u32) -> bool {
        (self.first..self.first + self.count).contains(&tag)
    }

    fn is_taken(&self, tag: u32) -> bool {
        let at = tag - self.first;
        self.words[at as usize / 64].load(Ordering::Acquire) & (1 << (at % 64)) != 0
    }
}

/// The tags of a hardware queue, and what C sees of them.
///
/// # Invariants
/// `c` comes first, so that a pointer to it is one to the whole; its arrays are `rqs` and `own`.
#[repr(C)]
pub(crate) struct Tags {
    c: UnsafeCell<sys::blk_mq_tags>,
    rqs: Box<[AtomicPtr<sys::request>]>,
    own: Box<[*mut sys::request]>,
    normal: Map,
    reserved: Map,
    freed: WaitQueue,
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: maps and `rqs` are atomic; `c` and `own` do not change.
unsafe impl Sync for Tags {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Tags {}

impl Tags {
    /// Makes the requests of hardware queue `index`.
    ///
    /// # Safety
    /// `set` is valid, with operations that stay.
    pub(crate) unsafe fn new(set: *mut sys::blk_mq_tag_set, index: c_uint) -> Result<Box<Tags>> {
        // SAFETY: the caller's contract.
        let (depth, reserved, extra) =
            unsafe { ((*set).queue_depth, (*set).reserved_tags, (*set).cmd_size as usize) };
        let size = size_of::<sys::request>() + extra;
        let one = Layout::from_size_align(size, align_of::<sys::request>())
            .map_err(|_| Errno::ENOMEM)?
            .pad_to_align();
        let layout = Layout::from_size_align(one.size() * depth as usize, one.align())
            .map_err(|_| Errno::ENOMEM)?;
        // SAFETY: the size is not zero: a tag set has a depth.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Errno::ENOMEM)?;
        let own: Box<[*mut sys::request]> = (0..depth as usize)
            // SAFETY: within the block.
            .map(|at| unsafe { memory.as_ptr().add(at * one.size()) }.cast())
            .collect();
        let tags = Box::new(Tags {
            c: UnsafeCell::default(),
            rqs: own.iter().map(|_| AtomicPtr::default()).collect(),
            own,
            normal: Map::new(reserved, depth - reserved),
            reserved: Map::new(0, reserved),
            freed: WaitQueue::new(),
            memory,
            layout,
        });
        // SAFETY: nobody else has it yet; the arrays live as long as `tags`.
        unsafe {
            tags.c.get().write(sys::blk_mq_tags {
                nr_tags: depth,
                nr_reserved_tags: reserved,
                active_queues: 0,
                rqs: tags.rqs.as_ptr().cast_mut().cast(),
                static_rqs: tags.own.as_ptr().cast_mut(),
            });
            tags.init_requests(set, index)?;
        }
        Ok(tags)
    }

    /// # Safety
    /// As [`Tags::new`]; the requests are not used yet.
    unsafe fn init_requests(&self, set: *mut sys::blk_mq_tag_set, index: c_uint) -> Result<()> {
        // SAFETY: the caller's contract.
        let Some(init) = (unsafe { (*(*set).ops).init_request }) else { return Ok(()) };
        for (at, rq) in self.own.iter().enumerate() {
            // SAFETY: the request is zeroed memory of its size; the driver's function may be called.
            let ret = unsafe { init(set, *rq, index, (*set).numa_node as c_uint) };
            if ret != 0 {
                // SAFETY: as above: those before it were initialized.
                unsafe { exit_requests(set, &self.own[..at], index) };
                return Err(Errno::new(ret));
            }
        }
        Ok(())
    }

    /// Frees the requests.
    ///
    /// # Safety
    /// As [`Tags::new`], with the same `index`; no request is used any more.
    pub(crate) unsafe fn exit(self, set: *mut sys::blk_mq_tag_set, index: c_uint) {
        // SAFETY: the caller's contract.
        unsafe { exit_requests(set, &self.own, index) };
    }

    /// # Safety
    /// `tags` came from [`Tags::as_sys`] and lives for as long as the result is used.
    pub(crate) unsafe fn from_sys<'a>(tags: *mut sys::blk_mq_tags) -> &'a Tags {
        // SAFETY: the caller's contract (`c` comes first).
        unsafe { &*tags.cast::<Tags>() }
    }

    pub(crate) fn as_sys(&self) -> *mut sys::blk_mq_tags {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn map(&self, is_reserved: bool) -> &Map {
        if is_reserved { &self.reserved } else { &self.normal }
    }

    /// Takes a tag if there is one.
    pub(crate) fn try_take(&self, is_reserved: bool, hint: u32) -> Option<u32> {
        let tag = self.map(is_reserved).take(hint)?;
        self.rqs[tag as usize].store(self.own[tag as usize], Ordering::Release);
        Some(tag)
    }

    /// Takes a tag. May sleep until one is free.
    pub(crate) fn take(&self, is_reserved: bool, hint: u32) -> u32 {
        let mut tag = None;
        self.freed.wait_event(|| {
            tag = self.try_take(is_reserved, hint);
            tag.is_some()
        });
        tag.expect("waited for it")
    }

    /// Gives a tag back.
    pub(crate) fn put(&self, tag: u32) {
        self.map(self.reserved.has(tag)).put(tag);
        self.freed.wake_up_all();
    }

    /// The request of a tag.
    pub(crate) fn request(&self, tag: u32) -> *mut sys::request {
        self.own[tag as usize]
    }

    /// The requests whose tags are taken.
    pub(crate) fn taken(&self) -> impl Iterator<Item = *mut sys::request> + '_ {
        let tags = 0..self.own.len() as u32;
        tags.filter(|tag| self.map(self.reserved.has(*tag)).is_taken(*tag))
            .map(|tag| self.request(tag))
    }
}

impl Drop for Tags {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, and no request is used any more.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// # Safety
/// As [`Tags::exit`].
unsafe fn exit_requests(set: *mut sys::blk_mq_tag_set, rqs: &[*mut sys::request], index: c_uint) {
    // SAFETY: the caller's contract.
    let Some(exit) = (unsafe { (*(*set).ops).exit_request }) else { return };
    for rq in rqs {
        // SAFETY: the caller's contract.
        unsafe { exit(set, *rq, index) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_given_once() {
        let map = Map::new(3, 70);
        let mut taken: Vec<u32> = (0..70).map(|_| map.take(1).expect("one is free")).collect();
        taken.sort_unstable();
        assert_eq!(taken, (3..73).collect::<Vec<_>>());
        assert_eq!(map.take(0), None);
        map.put(66);
        assert!(map.is_taken(65) && !map.is_taken(66));
        assert_eq!(map.take(0), Some(66));
    }

    #[test]
    fn none_of_none() {
        assert_eq!(Map::new(0, 0).take(5), None);
        assert!(!Map::new(0, 0).has(0));
    }
}
