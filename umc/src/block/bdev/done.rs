// SPDX-License-Identifier: GPL-2.0-only
//! What is called at the end of an operation: a closure that needs no memory of its own, as a request of the steady state
//! allocates none.

use std::mem::{ManuallyDrop, MaybeUninit, align_of};

use super::io::IoDone;
use crate::Result;

/// Words of a closure that is kept in place: what an answer to FUSE needs, with what its device holds for it.
const WORDS: usize = 16;

type Place = [MaybeUninit<usize>; WORDS];

/// # Invariants
/// `place` holds a live closure that `end` knows the type of.
pub(super) struct Done {
    place: Place,
    /// Calls the closure with a result, or drops it; it is gone then.
    end: unsafe fn(*mut Place, Option<Result<IoDone>>),
}

// SAFETY: the closure in it is `Send`, by the bound of `new`.
unsafe impl Send for Done {}

impl Done {
    /// A larger closure gets memory of its own.
    pub(super) fn new<F: FnOnce(Result<IoDone>) + Send + 'static>(closure: F) -> Done {
        if size_of::<F>() <= size_of::<Place>() && align_of::<F>() <= align_of::<Place>() {
            // SAFETY: it fits.
            return unsafe { Done::in_place(closure) };
        }
        let closure: Box<F> = Box::new(closure);
        // SAFETY: a pointer fits.
        unsafe { Done::in_place(closure) }
    }

    /// # Safety
    /// The closure fits into a `Place`.
    unsafe fn in_place<F: FnOnce(Result<IoDone>) + Send + 'static>(closure: F) -> Done {
        /// # Safety
        /// `place` holds a live `F`, which nobody uses afterwards.
        unsafe fn end<F: FnOnce(Result<IoDone>)>(
            place: *mut Place,
            result: Option<Result<IoDone>>,
        ) {
            // SAFETY: the caller's contract.
            let closure = unsafe { place.cast::<F>().read() };
            if let Some(result) = result {
                closure(result);
            }
        }
        let mut place = [MaybeUninit::uninit(); WORDS];
        // SAFETY: it fits, by the caller's contract.
        unsafe { place.as_mut_ptr().cast::<F>().write(closure) };
        Done { place, end: end::<F> }
    }

    /// Tells the result.
    pub(super) fn call(self, result: Result<IoDone>) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: by the invariant; `this` is not dropped, so this is the end of the closure.
        unsafe { (this.end)(&raw mut this.place, Some(result)) };
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        // SAFETY: by the invariant; nothing uses `self` after its drop.
        unsafe { (self.end)(&raw mut self.place, None) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::Errno;

    /// A closure that carries `N` words; it counts its calls.
    fn carrying<const N: usize>(calls: &Arc<AtomicU32>) -> Done {
        let (calls, words) = (calls.clone(), [7_usize; N]);
        Done::new(move |result| {
            assert!(words.iter().all(|word| *word == 7));
            assert!(matches!(result, Err(Errno::EIO)));
            calls.fetch_add(1, Ordering::SeqCst);
        })
    }

    #[test]
    fn closures_are_called_or_dropped_once() {
        let calls = Arc::new(AtomicU32::new(0));
        for make in [carrying::<0>, carrying::<{ WORDS - 1 }>, carrying::<WORDS>, carrying::<100>] {
            let before = calls.load(Ordering::SeqCst);
            let moved = Box::new(make(&calls));
            assert_eq!(Arc::strong_count(&calls), 2);
            moved.call(Err(Errno::EIO));
            assert_eq!((calls.load(Ordering::SeqCst), Arc::strong_count(&calls)), (before + 1, 1));
            drop(make(&calls));
            assert_eq!((calls.load(Ordering::SeqCst), Arc::strong_count(&calls)), (before + 1, 1));
        }
    }
}
