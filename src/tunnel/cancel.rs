// SPDX-License-Identifier: GPL-2.0-only
//! The pipe by which a caller interrupts its call: a byte is a signal, the end of the pipe is the end of the caller.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI64, Ordering};

use mte::ops::WatchId;
use umc::signal::Interrupter;

/// A watch of the pipe, for as long as the call runs.
pub struct Cancel {
    watched: Box<Watched>,
}

struct Watched {
    pipe: OwnedFd,
    interrupter: Interrupter,
    /// The watch's number, before any event of it; negative where there is none.
    watch: AtomicI64,
}

impl Cancel {
    /// Begins to listen. Without a watch of the host nothing interrupts the call.
    pub fn watch(pipe: OwnedFd, interrupter: Interrupter) -> Cancel {
        let watched = Box::new(Watched { pipe, interrupter, watch: AtomicI64::new(-1) });
        let (fd, ops) = (watched.pipe.as_raw_fd(), mte::current());
        let arg = (&raw const *watched).cast_mut().cast();
        // SAFETY: the box stays where it is until the watch has ended, in `drop`.
        match unsafe { ops.fd_watch(fd, 0, heard, arg) } {
            Ok(watch) => {
                watched.watch.store(watch.0, Ordering::Release);
                ops.fd_watch_for(watch, libc::POLLIN as u32);
            }
            Err(error) => tracing::warn!("a call cannot be interrupted: {error}"),
        }
        Cancel { watched }
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        let watch = self.watched.watch.load(Ordering::Acquire);
        if watch >= 0 {
            mte::current().fd_unwatch(WatchId(watch));
        }
    }
}

/// Something came, or nothing will come any more.
///
/// # Safety
/// `arg` is a [`Watched`].
unsafe extern "C" fn heard(arg: *mut c_void, _events: u32) {
    // SAFETY: the caller's contract.
    let watched = unsafe { &*arg.cast::<Watched>() };
    match nix::unistd::read(&watched.pipe, &mut [0; 64]) {
        Ok(0) => {
            // It is ready for ever from now on.
            mte::current().fd_watch_for(WatchId(watched.watch.load(Ordering::Acquire)), 0);
            watched.interrupter.kill();
        }
        Ok(_) => watched.interrupter.interrupt(),
        Err(_) => {}
    }
}
