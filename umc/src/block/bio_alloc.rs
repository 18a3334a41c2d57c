// SPDX-License-Identifier: GPL-2.0-only
//! Sets of bios.
//!
//! C header: `include/linux/bio.h`, `struct bio_set` (API of 6.12).
//! Guarantees kept: an allocation that may wait never fails; `pool_size` bios of a set exist even without memory; the
//! front pad lies before each bio, and is not cleared.
//! Differs from Linux: bio and vectors are one piece of memory, in five sizes; free ones are kept in lists of the set (not
//! in debug builds, so that memory checkers see a use after free); there are no rescuers, for a waiting allocation is
//! only ever waiting for bios that are in flight.
//! Used by DRBD for: `drbd_md_io_bio_set`, `drbd_io_bio_set`, and `bio_alloc` for bitmap and peer requests.

use std::alloc::Layout;
use std::ffi::{c_int, c_uint};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mte::sim::lock::Mutex;

use crate::bio::{bio_init, copy_for_clone};
use crate::kprintln;
use crate::printk::Level;
use crate::wait::WaitQueue;
use crate::{Errno, Kernel, Result, sys};

/// Vectors in a bio of each class.
const CLASS_VECS: [usize; 5] = [4, 16, 64, 128, sys::BIO_MAX_VECS as usize];
/// Free bios kept in each class.
const CACHED_MAX: [usize; 5] = if cfg!(debug_assertions) { [0; 5] } else { [256, 64, 32, 16, 32] };

/// A piece of memory for a bio with its front pad.
struct Chunk(*mut u8);

// SAFETY: free memory belongs to the list it is in.
unsafe impl Send for Chunk {}

impl Chunk {
    /// Gives the memory back. `layout` is the one of its class.
    fn free(self, layout: Layout) {
        // SAFETY: it came from `Pool::fresh` with this layout.
        unsafe { std::alloc::dealloc(self.0, layout) };
    }
}

#[derive(Default)]
struct Lists {
    /// For times without memory; all of the largest class of the set.
    reserve: Vec<Chunk>,
    cached: [Vec<Chunk>; 5],
    live: usize,
}

/// The Rust side of a `bio_set`.
struct Pool {
    front_pad: usize,
    reserved: usize,
    class_max: usize,
    lists: Mutex<Lists>,
    waiters: AtomicU32,
    freed: WaitQueue,
}

impl Pool {
    fn new(reserved: usize, front_pad: usize, class_max: usize) -> Result<Pool> {
        let pool = Pool {
            front_pad,
            reserved,
            class_max,
            lists: Mutex::default(),
            waiters: AtomicU32::new(0),
            freed: WaitQueue::new(),
        };
        let mut reserve = Vec::with_capacity(reserved);
        for _ in 0..reserved {
            match pool.fresh(class_max) {
                Some(chunk) => reserve.push(chunk),
                None => {
                    reserve.into_iter().for_each(|chunk| pool.release(chunk, class_max));
                    return Err(Errno::ENOMEM);
                }
            }
        }
        pool.lists.lock().reserve = reserve;
        Ok(pool)
    }

    fn layout(&self, class: usize) -> Layout {
        let size =
            self.front_pad + size_of::<sys::bio>() + CLASS_VECS[class] * size_of::<sys::bio_vec>();
        Layout::from_size_align(size, 16).expect("a front pad is small")
    }

    fn fresh(&self, class: usize) -> Option<Chunk> {
        // SAFETY: the layout is not empty.
        let at = unsafe { std::alloc::alloc(self.layout(class)) };
        (!at.is_null()).then_some(Chunk(at))
    }

    fn release(&self, chunk: Chunk, class: usize) {
        chunk.free(self.layout(class));
    }

    /// A chunk for at least class `class`, and its real class.
    fn try_take(&self, class: usize) -> Option<(Chunk, usize)> {
        let mut lists = self.lists.lock();
        lists.live += 1;
        if let Some(chunk) = lists.cached[class].pop() {
            return Some((chunk, class));
        }
        drop(lists);
        if let Some(chunk) = self.fresh(class) {
            return Some((chunk, class));
        }
        let mut lists = self.lists.lock();
        let chunk = lists.reserve.pop();
        if chunk.is_none() {
            lists.live -= 1;
        }
        chunk.map(|chunk| (chunk, self.class_max))
    }

    fn take(&self, class: usize, wait: bool) -> Option<(Chunk, usize)> {
        let found = self.try_take(class);
        if found.is_some() || !wait {
            return found;
        }
        let mut found = None;
        self.waiters.fetch_add(1, Ordering::SeqCst);
        self.freed.wait_event(|| {
            found = self.try_take(class);
            found.is_some()
        });
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        found
    }

    fn give_back(&self, chunk: Chunk, class: usize) {
        let layout = self.layout(class);
        let mut lists = self.lists.lock();
        lists.live -= 1;
        let is_awaited = self.waiters.load(Ordering::SeqCst) > 0;
        let surplus = if class == self.class_max && lists.reserve.len() < self.reserved {
            lists.reserve.push(chunk);
            None
        } else if is_awaited || lists.cached[class].len() < CACHED_MAX[class] {
            lists.cached[class].push(chunk);
            None
        } else {
            Some(chunk)
        };
        if is_awaited {
            self.freed.wake_up_all();
        }
        // The last look at the pool: with its last bio back, the set may end.
        drop(lists);
        if let Some(chunk) = surplus {
            chunk.free(layout);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let lists = std::mem::take(&mut *self.lists.lock());
        for chunk in lists.reserve {
            self.release(chunk, self.class_max);
        }
        for (class, chunks) in lists.cached.into_iter().enumerate() {
            chunks.into_iter().for_each(|chunk| self.release(chunk, class));
        }
    }
}

/// A `bio_set` of this crate's own: it stays where it is, and dies with its owner.
pub(crate) struct OwnedSet(Box<sys::bio_set>);

// SAFETY: a bio_set is used from any thread; what changes in it is behind the lock of its pool.
unsafe impl Send for OwnedSet {}
// SAFETY: as above.
unsafe impl Sync for OwnedSet {}

impl OwnedSet {
    fn new() -> OwnedSet {
        let mut set = Box::<sys::bio_set>::default();
        let flags = sys::BIOSET_NEED_BVECS as c_int;
        // SAFETY: the set is zeroed, and stays in its box.
        let ret = unsafe { bioset_init(&raw mut *set, sys::BIO_POOL_SIZE, 0, flags) };
        assert_eq!(ret, 0, "no memory for the bios of a kernel");
        OwnedSet(set)
    }

    fn as_ptr(&self) -> *mut sys::bio_set {
        (&raw const *self.0).cast_mut()
    }
}

/// The set for everybody, made at its first use.
#[derive(Default)]
pub(crate) struct FsBioSet(OnceLock<OwnedSet>);

impl FsBioSet {
    pub(crate) fn get(&self) -> *mut sys::bio_set {
        self.0.get_or_init(OwnedSet::new).as_ptr()
    }
}

/// Frees a bio whose last reference is gone.
///
/// # Safety
/// Nobody uses `bio` any more.
pub(crate) unsafe fn free(bio: *mut sys::bio) {
    // SAFETY: the caller's contract; a bio with a set came from that set's pool, another one from `bio_kmalloc`.
    unsafe {
        crate::bio::bio_uninit(bio);
        let set = (*bio).bi_pool;
        if set.is_null() {
            crate::slab::kfree(bio.cast());
            return;
        }
        let pool = &*(*set).umc_pool.cast::<Pool>();
        let class = usize::from((*bio).umc_class);
        pool.give_back(Chunk(bio.cast::<u8>().sub(pool.front_pad)), class);
    }
}

/// The set behind `fs_bio_set`.
///
/// # Safety
/// None needed.
///
/// # Context
/// Any task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn umc_fs_bio_set() -> *mut sys::bio_set {
    Kernel::current().block.fs_bios.get()
}

/// Sets up a set of bios with `front_pad` bytes before each.
///
/// # Safety
/// `bs` must be valid and zeroed or uninitialized.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bioset_init(
    bs: *mut sys::bio_set,
    pool_size: c_uint,
    front_pad: c_uint,
    flags: c_int,
) -> c_int {
    let class_max = match flags & sys::BIOSET_NEED_BVECS as c_int {
        0 => 0,
        _ => CLASS_VECS.len() - 1,
    };
    match Pool::new(pool_size as usize, front_pad as usize, class_max) {
        Ok(pool) => {
            let pool = Box::into_raw(Box::new(pool));
            // SAFETY: `bs` is valid memory that nobody uses yet.
            unsafe {
                bs.write(sys::bio_set {
                    bio_integrity_pool: Default::default(),
                    bio_slab: pool.cast(),
                    front_pad,
                    back_pad: 0,
                    umc_pool: pool.cast(),
                })
            };
            0
        }
        Err(error) => error.neg(),
    }
}

/// Ends a set of bios. One that was never set up, or ended before, is left alone.
///
/// # Safety
/// `bs` must be valid; none of its bios may be in use.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bioset_exit(bs: *mut sys::bio_set) {
    // SAFETY: the caller's contract; `umc_pool` is the box of `bioset_init`.
    unsafe {
        let pool = std::mem::take(&mut *bs).umc_pool.cast::<Pool>();
        if pool.is_null() {
            return;
        }
        let live = (*pool).lists.lock().live;
        if live == 0 {
            drop(Box::from_raw(pool));
        } else {
            // Freeing the pool under bios in use would make their end a crash far from its cause.
            kprintln!(Level::Warning, "bioset_exit: {live} bios of the set are still in use");
        }
    }
}

/// Allocates a bio with room for `nr_vecs` vectors. NULL for a set without vectors when some are asked for, for more
/// than 256 vectors, and when there is no memory and `gfp_mask` does not allow to wait.
///
/// # Safety
/// `bs` must be set up; `bdev` NULL or valid.
///
/// # Context
/// May sleep, if `gfp_mask` allows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_alloc_bioset(
    bdev: *mut sys::block_device,
    nr_vecs: u16,
    opf: sys::blk_opf_t,
    gfp_mask: sys::gfp_t,
    bs: *mut sys::bio_set,
) -> *mut sys::bio {
    // SAFETY: `bs` is set up, so its pool is there until `bioset_exit`.
    let pool = unsafe { &*(*bs).umc_pool.cast::<Pool>() };
    let class = CLASS_VECS.iter().position(|vecs| usize::from(nr_vecs) <= *vecs);
    let Some(class) = class.filter(|_| nr_vecs == 0 || pool.class_max > 0) else {
        return std::ptr::null_mut();
    };
    let Some((chunk, class)) = pool.take(class, gfp_mask & sys::___GFP_DIRECT_RECLAIM != 0) else {
        return std::ptr::null_mut();
    };
    // SAFETY: a chunk has room for the front pad, the bio and the vectors of its class.
    unsafe {
        let bio = chunk.0.add(pool.front_pad).cast::<sys::bio>();
        let vecs = if nr_vecs == 0 { 0 } else { CLASS_VECS[class] };
        let table =
            if nr_vecs == 0 { std::ptr::null_mut() } else { bio.add(1).cast::<sys::bio_vec>() };
        bio_init(bio, bdev, table, vecs as u16, opf);
        (*bio).bi_pool = bs;
        (*bio).umc_class = class as u16;
        bio
    }
}

/// Allocates a clone of a bio: same data, another owner. The source must outlive it.
///
/// # Safety
/// `src` must be valid, `bs` set up, `bdev` NULL or valid.
///
/// # Context
/// May sleep, if `gfp` allows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_alloc_clone(
    bdev: *mut sys::block_device,
    src: *mut sys::bio,
    gfp: sys::gfp_t,
    bs: *mut sys::bio_set,
) -> *mut sys::bio {
    // SAFETY: `src` is valid and outlives the clone, `bs` is set up; a new bio is the caller's
    // alone.
    unsafe {
        let bio = bio_alloc_bioset(bdev, 0, (*src).bi_opf, gfp, bs);
        if bio.is_null() {
            return bio;
        }
        copy_for_clone(bio, src);
        (*bio).bi_io_vec = (*src).bi_io_vec;
        if crate::bio_integrity::bio_integrity_clone(bio, src, gfp) != 0 {
            free(bio);
            return std::ptr::null_mut();
        }
        bio
    }
}

/// Memory for a bio with `nr_vecs` vectors, to be initialized by `bio_init` and freed by `kfree`.
///
/// # Safety
/// None needed.
///
/// # Context
/// May sleep, if `gfp_mask` allows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bio_kmalloc(nr_vecs: u16, gfp_mask: sys::gfp_t) -> *mut sys::bio {
    if nr_vecs > 1024 {
        return std::ptr::null_mut();
    }
    let size = size_of::<sys::bio>() + usize::from(nr_vecs) * size_of::<sys::bio_vec>();
    // SAFETY: any size may be asked for.
    unsafe { crate::slab::kmalloc(size, gfp_mask).cast() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bio::{bio_add_page, bio_chain, bio_endio, bio_put, bio_reset};
    use crate::blkdev::tests::kernel;
    use crate::mm::{PageBuf, gfp};

    #[test]
    fn sets_and_sizes() {
        kernel();
        let mut set = sys::bio_set::default();
        let mut bare = sys::bio_set::default();
        // SAFETY: the sets live until they are ended; each bio is put once.
        unsafe {
            assert_eq!(bioset_init(&raw mut set, 3, 48, sys::BIOSET_NEED_BVECS as c_int), 0);
            assert_eq!(bioset_init(&raw mut bare, 3, 0, 0), 0);
            let null = std::ptr::null_mut();
            assert!(bio_alloc_bioset(null, 1, 0, gfp::NOIO, &raw mut bare).is_null());
            assert!(bio_alloc_bioset(null, 257, 0, gfp::NOIO, &raw mut set).is_null());
            for (wanted, got) in [(0, 0), (1, 4), (5, 16), (64, 64), (65, 128), (256, 256)] {
                let bio = bio_alloc_bioset(null, wanted, 0, gfp::NOIO, &raw mut set);
                assert_eq!((*bio).bi_max_vecs, got);
                bio.cast::<u8>().sub(48).write_bytes(0xff, 48);
                let clone = bio_alloc_clone(null, bio, gfp::NOIO, &raw mut bare);
                assert_eq!((*clone).bi_io_vec, (*bio).bi_io_vec);
                bio_put(clone);
                bio_put(bio);
            }
            bioset_exit(&raw mut set);
            bioset_exit(&raw mut set);
            bioset_exit(&raw mut bare);
        }
    }

    #[test]
    fn the_reserve_is_refilled() {
        let pool = Pool::new(2, 0, 4).unwrap();
        let (chunk, class) = pool.lists.lock().reserve.pop().map(|chunk| (chunk, 4)).unwrap();
        pool.lists.lock().live += 1;
        pool.give_back(chunk, class);
        assert_eq!(pool.lists.lock().reserve.len(), 2);
    }

    thread_local!(static ENDED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });

    unsafe extern "C" fn note_end(_bio: *mut sys::bio) {
        ENDED.set(ENDED.get() + 1);
    }

    #[test]
    fn a_long_chain_ends_once_and_with_the_first_error() {
        let set = kernel().block.fs_bios.get();
        // SAFETY: each bio is ended once; chained ones put themselves.
        unsafe {
            let last = bio_alloc_bioset(std::ptr::null_mut(), 0, 0, gfp::NOIO, set);
            (*last).bi_end_io = Some(note_end);
            let mut chain = vec![last];
            for _ in 0..100_000 {
                let bio = bio_alloc_bioset(std::ptr::null_mut(), 0, 0, gfp::NOIO, set);
                bio_chain(bio, *chain.last().unwrap());
                chain.push(bio);
            }
            let first = chain.pop().unwrap();
            chain.iter().for_each(|bio| bio_endio(*bio));
            assert_eq!(ENDED.get(), 0, "the one that all wait for has not ended");
            (*first).bi_status = crate::bio::STS_NOSPC;
            bio_endio(first);
            assert_eq!((ENDED.get(), (*last).bi_status), (1, crate::bio::STS_NOSPC));
            bio_put(last);
        }
    }

    #[test]
    fn pages_are_merged_and_references_counted() {
        let set = kernel().block.fs_bios.get();
        let buf = PageBuf::new(4 * 4096).unwrap();
        let page = |n| buf.first_page().wrapping_add(n);
        // SAFETY: the buffer outlives the bio.
        unsafe {
            let bio = bio_alloc_bioset(std::ptr::null_mut(), 4, 0, gfp::NOIO, set);
            assert_eq!(bio_add_page(bio, page(0), 4096, 0), 4096);
            assert_eq!(bio_add_page(bio, page(1), 512, 0), 512);
            assert_eq!(((*bio).bi_vcnt, (*bio).bi_iter.bi_size), (1, 4608));
            assert_eq!(bio_add_page(bio, page(3), 512, 512), 512);
            assert_eq!((*bio).bi_vcnt, 2);
            let lens: Vec<usize> = crate::bio::segments(bio).map(|(_, len)| len).collect();
            assert_eq!(lens, [4608, 512]);
            crate::bio_iter::__bio_advance(bio, 4608 + 256);
            let lens: Vec<usize> = crate::bio::segments(bio).map(|(_, len)| len).collect();
            assert_eq!(lens, [256]);
            bio_reset(bio, std::ptr::null_mut(), sys::REQ_OP_WRITE);
            assert_eq!(((*bio).bi_vcnt, (*bio).bi_max_vecs, (*bio).bi_pool), (0, 4, set));
            // As the inline `bio_get` does.
            crate::bio::set_flag(bio, sys::BIO_REFFED);
            (*bio).__bi_cnt.counter += 1;
            bio_put(bio);
            assert_eq!((*bio).__bi_cnt.counter, 1);
            bio_put(bio);
        }
    }
}
