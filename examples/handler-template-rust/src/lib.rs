// SPDX-License-Identifier: GPL-2.0-only
//! A handler to begin with: a disk in a file, requests queued to a thread of the disk, which ends them.
//!
//! ```text
//! cargo build --release && umc handler check target/release/libhandler_template.so /tmp/disk.img,size=64M
//! umc start alpha --handler-dir target/release --disk d0=template//tmp/disk.img,size=64M
//! ```
//!
//! Change the name of the crate, and the subtype with it. The rules are in docs/handlers.md; `handler_abi` keeps those of
//! the ABI. A handler in C whose calls may block is as short: see the other template.

use std::ffi::{CStr, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use handler_abi::queued::{self, Failed, Kind, Opening, Request};
use handler_abi::{Status, sts};

/// Everything about one open disk.
struct Disk {
    /// `None`: the thread is to end.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// Does what is asked for, on the disk's thread.
fn run(file: &File, request: &Request) -> Status {
    match request.kind() {
        Kind::Read | Kind::Write => transfer(file, request),
        Kind::Flush if file.sync_data().is_ok() => sts::OK,
        Kind::Flush => sts::WR_ERR,
        // Not announced below, so never asked for.
        Kind::Unmap | Kind::WriteSame => sts::INVALID_CMD,
    }
}

fn transfer(file: &File, request: &Request) -> Status {
    let write = request.kind() == Kind::Write;
    let mut offset = request.offset() as i64;
    for piece in request.pieces() {
        let mut done = 0;
        while done < piece.iov_len {
            let at = piece.iov_base.cast::<u8>().wrapping_add(done).cast::<c_void>();
            let left = piece.iov_len - done;
            // SAFETY: `left` bytes from `at` on lie in the piece, which is the request's until its end.
            let moved = unsafe {
                match write {
                    true => libc::pwrite(file.as_raw_fd(), at, left, offset),
                    false => libc::pread(file.as_raw_fd(), at, left, offset),
                }
            };
            match moved {
                ..0 if std::io::Error::last_os_error().kind()
                    == std::io::ErrorKind::Interrupted => {}
                ..=0 if write => return sts::WR_ERR,
                ..=0 => return sts::RD_ERR,
                moved => {
                    done += moved as usize;
                    offset += moved as i64;
                }
            }
        }
    }
    sts::OK
}

impl queued::Disk for Disk {
    const NAME: &'static CStr = c"Template";
    const SUBTYPE: &'static CStr = c"template";
    const USAGE: &'static CStr = c"template/PATH: a disk in a file, created when it is missing";

    /// What an error says is what the user is told.
    fn open(device: &Opening) -> Result<Disk, Failed> {
        let (path, size) = (device.config(), device.asked_size());
        let say = |error: std::io::Error| Failed(libc::EIO, format!("{path}: {error}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(say)?;
        match file.metadata().map_err(say)?.len() {
            0 => file.set_len(size).map_err(say)?,
            len if len < size => {
                let text = format!("{path} has {len} bytes, and {size} are asked for");
                return Err(Failed(libc::EINVAL, text));
            }
            _ => {}
        }
        let (requests, queue) = mpsc::channel::<Request>();
        let thread = thread::Builder::new().name("template".into()).spawn(move || {
            for request in queue {
                let status = run(&file, &request);
                request.end(status);
            }
        });
        // Writes that are complete are on stable storage when a later flush is.
        device.set_write_cache(true);
        Ok(Disk { requests: Some(requests), thread: Some(thread.map_err(say)?) })
    }

    /// Queues, and does not block. A request that cannot be sent is dropped, and fails.
    fn submit(&self, request: Request) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
    }
}

/// The close: nothing is running.
impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

handler_abi::handler!(Disk);
