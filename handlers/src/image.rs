// SPDX-License-Identifier: GPL-2.0-only
//! What the host finds out about an image before the handler opens it: where it is, its size, who uses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::abi::BLKGETSIZE64;

/// Bytes of a qcow header that are read: magic, version, …, size at 24.
const QCOW_HEADER_BYTES: usize = 32;
const QCOW_MAGIC: &[u8] = b"QFI\xfb";
const QCOW_SIZE_AT: usize = 24;

/// The image that a config names: the existing file among its possible readings, else the likeliest.
///
/// Handlers write their options before the path (`ro/…`, `model-HA/…@…`) or behind it (`…;sync`).
pub fn path_of(config: &str) -> Option<PathBuf> {
    let plain = config.split(';').next().unwrap_or_default();
    let behind = |at: char| plain.split_once(at).map(|(_, rest)| rest);
    let readings = [Some(plain), behind('@'), behind('/')];
    let mut absolute = readings.into_iter().flatten().filter(|path| path.starts_with('/'));
    let first = absolute.clone().next();
    absolute.find(|path| Path::new(path).exists()).or(first).map(PathBuf::from)
}

/// The size of an image in bytes.
///
/// # Errors
/// Of the host; `InvalidData` when it is neither a file nor a block device.
pub fn size_of(path: &Path, subtype: &str) -> io::Result<u64> {
    let meta = fs::metadata(path)?;
    let is_block = meta.file_type().is_block_device();
    if !is_block && !meta.is_file() {
        let text = "it is neither a regular file nor a block device";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    // Only this handler looks into the image; to the others it is plain data, whatever it looks like.
    if subtype == "qcow"
        && let Some(size) = qcow_size(path)?
    {
        return Ok(size);
    }
    if !is_block {
        return Ok(meta.len());
    }
    let mut size = 0_u64;
    // SAFETY: the request writes one u64.
    let ret = unsafe { libc::ioctl(File::open(path)?.as_raw_fd(), BLKGETSIZE64, &raw mut size) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(size) }
}

/// Why a handler must not be given this image, though it would take it; `None`: nothing is known against it.
///
/// # Errors
/// Of the host, when the image cannot be read.
pub fn objection(path: &Path, subtype: &str) -> io::Result<Option<String>> {
    if subtype == "qcow" && path.exists() { crate::qcow::objection(path) } else { Ok(None) }
}

/// What to do about an [`objection`].
pub const CONVERT: &str = "Make one that it can keep: qemu-img convert -O qcow2 OLD NEW.";

/// The size that a qcow or qcow2 header states; `None` for other files.
fn qcow_size(path: &Path) -> io::Result<Option<u64>> {
    let mut header = [0; QCOW_HEADER_BYTES];
    match File::open(path)?.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    if !header.starts_with(QCOW_MAGIC) {
        return Ok(None);
    }
    let size = header[QCOW_SIZE_AT..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    Ok(size)
}

/// A claim on an image, so that no other disk of this or another node uses it: an advisory lock on a file, the kernel's
/// own claim on a block device, which also keeps it from being mounted.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Ends with the last copy of the descriptor; programs that are being started close theirs at their exec.
    Device { _file: File },
    /// Unlocked at its end: a program that is just being started has a copy of the descriptor, and would keep the lock for
    /// a moment.
    File { _lock: Flock<File> },
}

impl Claim {
    /// # Errors
    /// `ResourceBusy` when it is in use.
    pub(crate) fn new(path: &Path) -> io::Result<Claim> {
        if fs::metadata(path)?.file_type().is_block_device() {
            let file = OpenOptions::new().read(true).custom_flags(libc::O_EXCL).open(path)?;
            return Ok(Claim::Device { _file: file });
        }
        let file = OpenOptions::new().read(true).open(path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Claim::File { _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => Err(io::ErrorKind::ResourceBusy.into()),
            Err((_, error)) => Err(error.into()),
        }
    }
}

/// The value of `;size=` in a config: bytes, or with one of the suffixes K, M, G, T.
///
/// # Errors
/// The text that is no size.
pub fn size_option(config: &str) -> Result<Option<u64>, String> {
    let Some(text) = config.split(';').skip(1).find_map(|option| option.strip_prefix("size="))
    else {
        return Ok(None);
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(text.to_owned()),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    size.map(Some).ok_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let path = |config| path_of(config).map(|path| path.display().to_string());
        assert_eq!(path("/no/image;sync").as_deref(), Some("/no/image"));
        assert_eq!(path("ro//no/image").as_deref(), Some("/no/image"));
        assert_eq!(path("model-HA/zsize-1@/no/image").as_deref(), Some("/no/image"));
        assert_eq!(path("pool/image"), None);
        assert_eq!(path(""), None);
    }

    #[test]
    fn sizes() {
        assert_eq!(size_option("/x;sync;size=3M"), Ok(Some(3 << 20)));
        assert_eq!(size_option("/x;size=4096"), Ok(Some(4096)));
        assert_eq!(size_option("/size=3"), Ok(None));
        assert_eq!(size_option("/x;size=much"), Err("much".to_owned()));
        assert_eq!(size_option("/x;size=99999999999T"), Err("99999999999T".to_owned()));
    }
}
