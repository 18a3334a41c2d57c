// SPDX-License-Identifier: GPL-2.0-only
//! Whether programs of the host are told of changes by poll(2).
//!
//! FUSE has one answer for all files of a mount: either each poll of each file is a request, or none is (`no_poll` in
//! `fs/fuse/file.c`, from the first `ENOSYS` on). The host's io_uring polls a file of ours before each read and write, so
//! every one of them would be two requests. Few drivers tell of changes (md does, DRBD does not). So it is settled when it
//! is first asked, once: for polls where a driver has a file that tells, else against them.

use std::sync::atomic::{AtomicU8, Ordering};

/// Nobody has asked, and nobody needs them.
const OPEN: u8 = 0;
const NEEDED: u8 = 1;
const GIVEN_UP: u8 = 2;
/// Given up, and needed afterwards.
const MISSED: u8 = 3;

/// What is settled for one tree.
#[derive(Default)]
pub struct Bells(AtomicU8);

impl Bells {
    /// A driver has a file of which poll(2) tells something. True, once, when it comes too late: they are given up. Any
    /// context.
    #[must_use]
    pub(crate) fn need(&self) -> bool {
        let next = |state| match state {
            OPEN => Some(NEEDED),
            GIVEN_UP => Some(MISSED),
            _ => None,
        };
        let before = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        before == Ok(GIVEN_UP)
    }

    /// Gives them up unless somebody needs them; whether they are given up now. Any context.
    pub fn give_up(&self) -> bool {
        let given_up = self.0.compare_exchange(OPEN, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst);
        !matches!(given_up, Err(NEEDED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_holds() {
        let bells = Bells::default();
        assert!(!bells.need() && !bells.need() && !bells.give_up());
        let bells = Bells::default();
        assert!(bells.give_up() && bells.give_up());
        assert!(bells.need() && !bells.need());
        assert!(bells.give_up());
    }
}
