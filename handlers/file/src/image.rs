// SPDX-License-Identifier: GPL-2.0-only
//! The open image: its descriptors, its size, and what its file system can do.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use handler_abi::BLKGETSIZE64;
use handler_abi::queued::Failed;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};

use crate::config::Config;

/// `_IO(0x12, 104)`: its logical block size.
const BLKSSZGET: libc::c_ulong = 0x1268;

/// `_IO(0x12, 94)`: is it read-only? Linux opens such a device for writing, and fails the writes.
const BLKROGET: libc::c_ulong = 0x125e;

/// What direct I/O must be aligned to when the kernel does not say.
const ALIGN_DEFAULT: Align = Align { memory: 512, offset: 512 };

/// Alignment of direct I/O, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Align {
    pub memory: u32,
    pub offset: u32,
}

/// An open image.
pub(crate) struct Image {
    /// Through the page cache: for flushes, holes, and what direct I/O cannot do.
    buffered: File,
    /// Past it.
    direct: Option<(File, Align)>,
    size: AtomicU64,
    pub block_size: u32,
    /// Discards work.
    pub punches: bool,
}

impl Image {
    /// Opens the image, for this disk alone. `asked` is the size that the host was given, 0 for none; with it, a
    /// missing image is created.
    pub(crate) fn open(config: &Config, asked: u64) -> Result<Image, Failed> {
        let path = &config.path;
        let wrong = |what: &str, error: io::Error| {
            let raw = error.raw_os_error().unwrap_or(libc::EIO);
            Failed(raw, format!("{what} {}: {}", path.display(), plain(&error)))
        };
        let (file, is_new) = match options(config).open(path) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound && asked > 0 => {
                let file = options(config).create_new(true).open(path);
                (file.map_err(|error| wrong("cannot create", error))?, true)
            }
            Err(error) => return Err(wrong("cannot open", error)),
        };
        let meta = file.metadata().map_err(|error| wrong("cannot look at", error))?;
        let is_block = meta.file_type().is_block_device();
        if !is_block && !meta.is_file() {
            let text = format!("{} is neither a file nor a block device", path.display());
            return Err(Failed(libc::EINVAL, text));
        }
        let file = if is_block {
            // The kernel's own claim: refused while mounted or used by another.
            drop(file);
            let claimed = options(config).custom_flags(flags(config) | libc::O_EXCL).open(path);
            let file = claimed.map_err(|error| wrong("cannot claim", error))?;
            if is_read_only(&file).map_err(|error| wrong("cannot look at", error))? {
                return Err(Failed(libc::EROFS, format!("{} is read-only", path.display())));
            }
            file
        } else {
            // SAFETY: an open descriptor.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } < 0 {
                let text = format!("{} is in use by another disk", path.display());
                return Err(Failed(libc::EBUSY, text));
            }
            file
        };
        if is_new {
            file.set_len(asked).map_err(|error| wrong("cannot extend", error))?;
        }
        let (has, block_size) = if is_block {
            block_geometry(&file).map_err(|error| wrong("cannot measure", error))?
        } else {
            (if is_new { asked } else { meta.len() }, 512)
        };
        if asked > has {
            let text = format!(
                "{} has {has} bytes, which is less than the size {asked} that was asked for",
                path.display()
            );
            return Err(Failed(libc::ENOSPC, text));
        }
        let size = if asked > 0 { asked } else { has };
        let punches =
            if is_block { discards(meta.rdev()) } else { punches(&file, meta.len().max(has)) };
        let direct = if config.direct { open_direct(config) } else { None };
        Ok(Image { buffered: file, direct, size: size.into(), block_size, punches })
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(SeqCst)
    }

    /// Takes over a larger size. A file that is shorter is extended with a hole.
    pub(crate) fn grow(&self, size: u64) -> Result<(), Failed> {
        let wrong = |what: &str, error: io::Error| {
            let raw = error.raw_os_error().unwrap_or(libc::EIO);
            Failed(raw, format!("cannot {what} the image: {}", plain(&error)))
        };
        let now = self.size();
        if size < now {
            return Err(Failed(libc::EINVAL, format!("{size} bytes are less than its {now}")));
        }
        let meta = self.buffered.metadata().map_err(|error| wrong("look at", error))?;
        if meta.file_type().is_block_device() {
            let (has, _) =
                block_geometry(&self.buffered).map_err(|error| wrong("measure", error))?;
            if size > has {
                return Err(Failed(libc::ENOSPC, format!("the block device has {has} bytes")));
            }
        } else if meta.len() < size {
            self.buffered.set_len(size).map_err(|error| wrong("extend", error))?;
        }
        self.size.store(size, SeqCst);
        Ok(())
    }

    /// The descriptor for flushes and holes, and for I/O through the page cache.
    pub(crate) fn buffered(&self) -> RawFd {
        self.buffered.as_raw_fd()
    }

    /// The descriptor for direct I/O, and what it needs.
    pub(crate) fn direct(&self) -> Option<(RawFd, Align)> {
        self.direct.as_ref().map(|(file, align)| (file.as_raw_fd(), *align))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // A program that is just being started has a copy of the descriptor, and would keep the lock for a moment.
        // SAFETY: an open descriptor; on a block device there is no lock, and nothing happens.
        unsafe { libc::flock(self.buffered.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// Does the block device refuse writes?
fn is_read_only(file: &File) -> io::Result<bool> {
    let mut read_only: libc::c_int = 0;
    // SAFETY: the request writes one int.
    match unsafe { libc::ioctl(file.as_raw_fd(), BLKROGET, &raw mut read_only) } {
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(read_only != 0),
    }
}

fn flags(config: &Config) -> i32 {
    if config.sync { libc::O_DSYNC } else { 0 }
}

fn options(config: &Config) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags(config));
    options
}

/// The image past the page cache; `None` where the file system does not offer that.
fn open_direct(config: &Config) -> Option<(File, Align)> {
    let align = direct_align(&config.path)?;
    let flags = flags(config) | libc::O_DIRECT;
    let file = options(config).custom_flags(flags).open(&config.path).ok()?;
    // Whoever made the image left its pages in the cache. A direct write that meets one cannot be started at once: the
    // kernel hands it to a thread of its own, which takes longer than the write. Advice only.
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    Some((file, align))
}

/// What direct I/O on the file must be aligned to; `None`: there is none.
fn direct_align(path: &Path) -> Option<Align> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: all-zero is a valid `statx`.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: a C string, and a `statx` to fill.
    let ret = unsafe {
        libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, libc::STATX_DIOALIGN, &raw mut stat)
    };
    if ret < 0 || stat.stx_mask & libc::STATX_DIOALIGN == 0 {
        return Some(ALIGN_DEFAULT);
    }
    let align = Align { memory: stat.stx_dio_mem_align, offset: stat.stx_dio_offset_align };
    (align.memory > 0 && align.offset > 0).then_some(align)
}

/// Size and logical block size of a block device.
fn block_geometry(file: &File) -> io::Result<(u64, u32)> {
    let (mut size, mut block) = (0_u64, 0_i32);
    // SAFETY: the request writes one u64.
    if unsafe { libc::ioctl(file.as_raw_fd(), BLKGETSIZE64, &raw mut size) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the request writes one int.
    if unsafe { libc::ioctl(file.as_raw_fd(), BLKSSZGET, &raw mut block) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((size, block.max(512) as u32))
}

/// Can the file have holes? Asked for a range behind its end, where nothing changes.
fn punches(file: &File, len: u64) -> bool {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let behind = len.next_multiple_of(4096) as i64;
    fallocate(file, mode, behind, 4096).is_ok()
}

/// Does the block device take discards that read as zeros?
fn discards(device: u64) -> bool {
    let device = format!("/sys/dev/block/{}:{}", libc::major(device), libc::minor(device));
    // A partition's queue is its disk's.
    ["queue", "../queue"].into_iter().any(|queue| {
        let path = format!("{device}/{queue}/write_zeroes_max_bytes");
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() != "0")
    })
}

/// The host's words for an error, without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
