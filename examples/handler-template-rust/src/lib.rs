//! A handler to begin with: a disk in a file, requests queued to a thread of the disk, which completes them.
//!
//! ```text
//! cargo build --release && umc handler check target/release/libhandler_template.so /tmp/disk.img,size=64M
//! umc start alpha --handler-dir target/release --disk d0=template//tmp/disk.img,size=64M
//! ```
//!
//! Change the name of the crate, and the subtype with it. The rules are in docs/handlers.md. A handler whose calls may
//! block is shorter still: with `nr_threads: 4` the callbacks do the work, and what they return is final.

use std::ffi::{CStr, c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use handler_abi::{Cmd, Device, Handler, Status, runner, sts};
use libc::iovec;

/// What a request is.
#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
    Flush,
}

/// A request on its way to the disk's thread.
struct Job {
    kind: Kind,
    dev: *mut Device,
    cmd: *mut Cmd,
    pieces: *mut iovec,
    count: usize,
    offset: i64,
}

// SAFETY: the host leaves what the pointers lead to alone until the completion, and takes that from any thread.
unsafe impl Send for Job {}

/// Everything about one open disk.
struct Disk {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Disk {
    fn open(path: &str, size: u64) -> Result<Disk, String> {
        let say = |error: std::io::Error| format!("{path}: {error}");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(say)?;
        match file.metadata().map_err(say)?.len() {
            0 => file.set_len(size).map_err(say)?,
            len if len < size => {
                return Err(format!("{path} has {len} bytes, and {size} are asked for"));
            }
            _ => {}
        }
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = thread::Builder::new().name("template".into()).spawn(move || {
            for job in queue {
                let status = job.run(&file);
                // SAFETY: the callback of this request returned, or will return, "queued"; completed once.
                unsafe { runner::tcmur_cmd_complete(job.dev, job.cmd.cast::<c_void>(), status) };
            }
        });
        Ok(Disk { jobs, thread: thread.map_err(say)? })
    }
}

impl Job {
    fn run(&self, file: &File) -> Status {
        let failed = match self.kind {
            Kind::Flush => return if file.sync_data().is_ok() { sts::OK } else { sts::WR_ERR },
            Kind::Read => sts::RD_ERR,
            Kind::Write => sts::WR_ERR,
        };
        let mut offset = self.offset;
        for index in 0..self.count {
            // SAFETY: the host's contract: `count` pieces, valid until the completion.
            let piece = unsafe { &*self.pieces.add(index) };
            let mut done = 0;
            while done < piece.iov_len {
                let at = piece.iov_base.cast::<u8>().wrapping_add(done).cast::<c_void>();
                let left = piece.iov_len - done;
                // SAFETY: `left` bytes from `at` on lie in the piece.
                let moved = unsafe {
                    match self.kind {
                        Kind::Write => libc::pwrite(file.as_raw_fd(), at, left, offset),
                        _ => libc::pread(file.as_raw_fd(), at, left, offset),
                    }
                };
                match moved {
                    ..0 if std::io::Error::last_os_error().kind()
                        == std::io::ErrorKind::Interrupted => {}
                    ..=0 => return failed,
                    moved => {
                        done += moved as usize;
                        offset += moved as i64;
                    }
                }
            }
        }
        sts::OK
    }
}

/// 0, or a negative errno. What is logged here is what the user is told.
unsafe extern "C" fn open(dev: *mut Device, _reopen: bool) -> c_int {
    // SAFETY: the host's contract: a device that is being opened; its config string outlives the call.
    unsafe {
        let config = CStr::from_ptr(runner::tcmu_dev_get_cfgstring(dev)).to_string_lossy();
        // "template/PATH": what follows the first slash is ours.
        let path = config.split_once('/').map_or("", |(_, path)| path);
        match Disk::open(path, runner::asked_size(dev)) {
            Ok(disk) => {
                runner::tcmu_dev_set_write_cache_enabled(dev, true);
                runner::tcmur_dev_set_private(dev, Box::into_raw(Box::new(disk)).cast());
                0
            }
            Err(text) => {
                runner::log_error(dev, &text);
                -libc::EIO
            }
        }
    }
}

/// Nothing is running. Not called after an open that failed.
unsafe extern "C" fn close(dev: *mut Device) {
    // SAFETY: the host's contract: opened, so `open` stored it.
    let disk = unsafe { Box::from_raw(runner::tcmur_dev_get_private(dev).cast::<Disk>()) };
    let Disk { jobs, thread } = *disk;
    drop(jobs);
    let _ = thread.join();
}

/// Queues a request; anything but `OK` says that no completion will come.
///
/// # Safety
/// The arguments are those of a callback.
unsafe fn queue(
    kind: Kind,
    dev: *mut Device,
    cmd: *mut Cmd,
    pieces: *mut iovec,
    count: usize,
    offset: i64,
) -> Status {
    // SAFETY: the host's contract: an open device.
    let disk = unsafe { &*runner::tcmur_dev_get_private(dev).cast::<Disk>() };
    let job = Job { kind, dev, cmd, pieces, count, offset };
    if disk.jobs.send(job).is_ok() { sts::OK } else { sts::HW_ERR }
}

unsafe extern "C" fn read(
    dev: *mut Device,
    cmd: *mut Cmd,
    pieces: *mut iovec,
    count: usize,
    _len: usize,
    offset: libc::off_t,
) -> Status {
    // SAFETY: the host's contract.
    unsafe { queue(Kind::Read, dev, cmd, pieces, count, offset) }
}

unsafe extern "C" fn write(
    dev: *mut Device,
    cmd: *mut Cmd,
    pieces: *mut iovec,
    count: usize,
    _len: usize,
    offset: libc::off_t,
) -> Status {
    // SAFETY: the host's contract.
    unsafe { queue(Kind::Write, dev, cmd, pieces, count, offset) }
}

/// Writes that are complete are on stable storage when this is.
unsafe extern "C" fn flush(dev: *mut Device, cmd: *mut Cmd) -> Status {
    // SAFETY: the host's contract.
    unsafe { queue(Kind::Flush, dev, cmd, null_mut(), 0, 0) }
}

static mut HANDLER: Handler = Handler {
    name: c"Template".as_ptr(),
    subtype: c"template".as_ptr(),
    cfg_desc: c"template/PATH: a disk in a file, created when it is missing".as_ptr(),
    opaque: null_mut(),
    check_config: None,
    reconfig: None,
    open: Some(open),
    close: Some(close),
    // The callbacks queue and do not block.
    nr_threads: 0,
    handle_cmd: None,
    read: Some(read),
    write: Some(write),
    flush: Some(flush),
    unmap: None,
    writesame: None,
    caw: None,
    report_event: None,
    lock: None,
    unlock: None,
    get_lock_tag: None,
    get_lock_state: None,
    is_dbus_handler: false,
    update_logdir: None,
    init: None,
    destroy: None,
};

/// Entry of the handler.
///
/// # Safety
/// Called once, by a host of the handler ABI.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handler_init() -> c_int {
    // SAFETY: the table is never unmapped; hosts keep the pointer and only read through it.
    unsafe { runner::tcmur_register_handler(&raw mut HANDLER) }
}
