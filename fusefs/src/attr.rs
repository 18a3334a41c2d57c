// SPDX-License-Identifier: GPL-2.0-only
//! What stat(2) sees.

use std::time::{Duration, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};
use umc::tree::{Attr, Kind};

/// Nothing is cached: names come and go with the driver, and a device changes its size while it is open.
pub(crate) const TTL: Duration = Duration::ZERO;

/// The errno of the host for one of the kernel.
pub(crate) fn errno(error: umc::Errno) -> fuser::Errno {
    if error == umc::Errno::ERESTARTSYS {
        return fuser::Errno::EINTR;
    }
    fuser::Errno::from_i32(error.raw())
}

/// The type of a node; a device is a regular file here, since the host would look for a device of its own behind a node of
/// that number.
pub(crate) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::File | Kind::Block(_) | Kind::Char(_) => FileType::RegularFile,
        Kind::Symlink(_) => FileType::Symlink,
    }
}

/// The attributes of a node; `device_size` is that of a block device.
pub(crate) fn attr_of(attr: &Attr, owner: (u32, u32), device_size: u64) -> FileAttr {
    let size = match attr.kind {
        Kind::Dir | Kind::File | Kind::Char(_) => 0,
        Kind::Symlink(len) => len as u64,
        Kind::Block(_) => device_size,
    };
    let time = UNIX_EPOCH + Duration::from_nanos(attr.mtime_ns);
    FileAttr {
        ino: INodeNo(attr.ino),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: file_type(attr.kind),
        perm: attr.mode,
        nlink: attr.nlink,
        uid: attr.owner.0.unwrap_or(owner.0),
        gid: attr.owner.1.unwrap_or(owner.1),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}
