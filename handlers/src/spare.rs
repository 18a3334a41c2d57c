// SPDX-License-Identifier: GPL-2.0-only
//! The memory of commands that ended, for those to come.

use std::mem::{MaybeUninit, take};

use parking_lot::Mutex;
use umc::slab;

use crate::command::{Command, Pieces};

/// How many are kept: as many as FUSE has requests under way.
const KEPT_MAX: usize = 256;

/// Room for one command, and for the pieces of its request and of its calls.
pub(crate) struct Room {
    pub command: Box<MaybeUninit<Command>>,
    pub pieces: [Pieces; 2],
}

// SAFETY: a room that is kept has no pieces, and a command may go to another thread.
unsafe impl Send for Room {}

/// Of one disk. Nothing is kept where a memory checker is to see each use after the end.
#[derive(Default)]
pub(crate) struct Spare(Mutex<Vec<Room>>);

impl Spare {
    pub(crate) fn take(&self) -> Room {
        let kept = self.0.lock().pop();
        let fresh = || Room { command: Box::new_uninit(), pieces: Default::default() };
        kept.unwrap_or_else(fresh)
    }

    /// Ends a command.
    pub(crate) fn keep(&self, mut command: Box<Command>) {
        let pieces = [take(&mut command.request.pieces), take(&mut command.handed)];
        let raw = Box::into_raw(command);
        // SAFETY: it came out of a box of its own, and this is its end.
        let command = unsafe {
            raw.drop_in_place();
            Box::from_raw(raw.cast::<MaybeUninit<Command>>())
        };
        let mut room = Room { command, pieces };
        room.pieces.iter_mut().for_each(Pieces::clear);
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX && slab::keeps_freed() {
            kept.push(room);
        }
    }
}
