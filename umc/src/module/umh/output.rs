// SPDX-License-Identifier: GPL-2.0-only
//! What a helper prints: each line goes to the kernel log.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use mte::ops::WatchId;
use mte::sim::lock::Mutex;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::read;

use crate::kernel::Kernel;
use crate::kprintln;
use crate::printk::Level;

/// Longer lines are broken.
const LINE_MAX: usize = 900;
/// KERN_INFO
const LEVEL: Level = Level::Info;

/// The reading end of a helper's output.
pub(super) struct Output {
    kernel: &'static Kernel,
    name: String,
    pipe: OwnedFd,
    /// The beginning of a line whose end was not read yet.
    partial: Mutex<Vec<u8>>,
    /// The watch of `pipe`, which owns a reference to this output.
    watch: Mutex<Option<WatchId>>,
}

impl Output {
    pub fn new(kernel: &'static Kernel, name: String, pipe: OwnedFd) -> Arc<Output> {
        // Of a descriptor that is open it does not fail.
        let _ = fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
        Arc::new(Output { kernel, name, pipe, partial: Mutex::default(), watch: Mutex::default() })
    }

    /// Asks to be told of output. It may go on after the helper's end: its children have the pipe too.
    pub fn watch(self: &Arc<Self>) {
        let arg = Arc::into_raw(self.clone());
        let mut watch = self.watch.lock();
        let fd = self.pipe.as_raw_fd();
        // SAFETY: the reference in `arg` lives until the callback has ended the watch.
        let made = unsafe {
            self.kernel.ops.fd_watch(fd, libc::POLLIN as u32, on_output, arg.cast_mut().cast())
        };
        match made {
            Ok(id) => *watch = Some(id),
            // SAFETY: no watch was made, so the reference is still ours. The output is read at the helper's end.
            Err(_) => drop(unsafe { Arc::from_raw(arg) }),
        }
    }

    /// Moves what is there to the log. False: the last writer is gone.
    pub fn pump(&self) -> bool {
        let mut partial = self.partial.lock();
        let mut buf = [0u8; 4096];
        loop {
            // The descriptor does not block.
            match read(&self.pipe, &mut buf) {
                Ok(0) => {
                    self.emit(&std::mem::take(&mut *partial));
                    return false;
                }
                Ok(len) => {
                    partial.extend_from_slice(&buf[..len]);
                    self.emit_lines(&mut partial);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return true,
            }
        }
    }

    fn emit_lines(&self, partial: &mut Vec<u8>) {
        let mut start = 0;
        while let Some(len) = partial[start..].iter().position(|byte| *byte == b'\n') {
            self.emit(&partial[start..start + len]);
            start += len + 1;
        }
        partial.drain(..start);
        if partial.len() >= LINE_MAX {
            self.emit(&std::mem::take(partial));
        }
    }

    fn emit(&self, line: &[u8]) {
        for piece in line.chunks(LINE_MAX) {
            let text = format!("{}: {}", self.name, String::from_utf8_lossy(piece).trim_end());
            kprintln!(self.kernel => LEVEL, "{text}");
        }
    }
}

/// There is output, or there will be none any more.
unsafe extern "C" fn on_output(arg: *mut c_void, _events: u32) {
    let output = arg.cast::<Output>().cast_const();
    // SAFETY: the watch owns a reference, which only this callback gives up.
    let this = unsafe { &*output };
    if this.pump() {
        return;
    }
    let watch = this.watch.lock().take();
    if let Some(watch) = watch {
        this.kernel.ops.fd_unwatch(watch);
        // SAFETY: the watch is gone, and with it the user of this reference.
        drop(unsafe { Arc::from_raw(output) });
    }
}
