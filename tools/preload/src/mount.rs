// SPDX-License-Identifier: GPL-2.0-only
//! Mounting a block device of the node: mount(2) and fsconfig(2), whose source the kernel looks up itself.
//!
//! To the host's kernel the device is a regular file, and its name in /dev is nobody's, or some device of the host. So
//! a loop device of the host stands in for it, and goes with the unmount. The file behind it is claimed, as a mount
//! claims a block device: while DRBD, or another mount, has the device, it is EBUSY.

use core::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering};

use libc::{AT_FDCWD, MS_BIND, MS_MOVE, MS_PRIVATE, MS_RDONLY, MS_REMOUNT, MS_SHARED, MS_SLAVE};

use umc_protocol::OPEN_EXCLUSIVE;

use crate::bytes::{decimal, join};
use crate::device::block_device_of;
use crate::real::{self, fail, keeping_errno};
use crate::redirect::{Room, lead};
use crate::root::Root;
use crate::{ioctl, raw};

/// Flags of mount(2) with which the source is no device.
const NO_DEVICE: c_ulong = MS_BIND | MS_MOVE | MS_REMOUNT | MS_SHARED | MS_PRIVATE | MS_SLAVE;

const FSCONFIG_SET_STRING: c_uint = 1;
const FSCONFIG_CMD_CREATE: c_uint = 6;
const FSCONFIG_CMD_CREATE_EXCL: c_uint = 8;

const LOOP_CONFIGURE: libc::Ioctl = 0x4c0a;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4c82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Others look for a free loop device, too: whoever is later takes the next one.
const ATTEMPTS: u32 = 64;

/// `struct loop_config`; of its `struct loop_info64` only the flags are set.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    places: [u64; 5],
    numbers: [u32; 3],
    flags: u32,
    texts: [u64; 22],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopConfig>() == 304);

/// A loop device that is open. It goes when it is neither open nor mounted.
struct Loop {
    fd: c_int,
    /// `/dev/loopN`, with NUL.
    name: [u8; 32],
}

impl Loop {
    /// Puts a loop device before the node's block device `path`. None: it is no such thing.
    fn before(path: *const c_char, read_only: bool) -> Result<Option<Loop>, c_int> {
        let Ok(st) = raw::fstatat(AT_FDCWD, path, 0) else { return Ok(None) };
        if block_device_of(&st).is_none() {
            return Ok(None);
        }
        // SAFETY: the caller's C string.
        let path = unsafe { core::ffi::CStr::from_ptr(path) };
        let access = if read_only { libc::O_RDONLY } else { libc::O_RDWR };
        // As `paths::open_flags` conveys a claim.
        let file = raw::open(path, access | OPEN_EXCLUSIVE)?;
        let made = Loop::over(file, access);
        // The loop device has it open.
        raw::close(file);
        made.map(Some)
    }

    fn over(file: c_int, access: c_int) -> Result<Loop, c_int> {
        let control = raw::open(c"/dev/loop-control", libc::O_RDWR)?;
        let mut result = Err(libc::EAGAIN);
        for _ in 0..ATTEMPTS {
            result = Loop::attempt(control, file, access);
            if result.as_ref().err() != Some(&libc::EBUSY) {
                break;
            }
        }
        raw::close(control);
        // EBUSY would say that the node's device is in use.
        result.map_err(|error| if error == libc::EBUSY { libc::EAGAIN } else { error })
    }

    fn attempt(control: c_int, file: c_int, access: c_int) -> Result<Loop, c_int> {
        // SAFETY: takes no argument.
        let number = unsafe { raw::ioctl(control, LOOP_CTL_GET_FREE, ptr::null_mut()) }?;
        let mut digits = [0; 10];
        let mut name = [0; 32];
        let number = decimal(number as u32, &mut digits);
        let path = join(b"/dev/loop", &[number], &mut name).ok_or(libc::ENAMETOOLONG)?;
        let fd = raw::open(path, access)?;
        let mut config = LoopConfig {
            fd: file as u32,
            block_size: ioctl::logical_block_size(file).unwrap_or(0),
            places: [0; 5],
            numbers: [0; 3],
            flags: LO_FLAGS_AUTOCLEAR,
            texts: [0; 22],
            reserved: [0; 8],
        };
        // SAFETY: the struct of the request, which lives through the call.
        match unsafe { raw::ioctl(fd, LOOP_CONFIGURE, (&raw mut config).cast()) } {
            Ok(_) => Ok(Loop { fd, name }),
            Err(error) => {
                raw::close(fd);
                Err(error)
            }
        }
    }

    fn path(&self) -> *const c_char {
        self.name.as_ptr().cast()
    }

    /// Leaves the descriptor to the caller.
    fn into_fd(self) -> c_int {
        let fd = self.fd;
        core::mem::forget(self);
        fd
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        keeping_errno(|| raw::close(self.fd));
    }
}

/// The loop device of the last source that was configured, kept until its file system is made; -1 for none.
static CONFIGURED: AtomicI32 = AtomicI32::new(-1);

fn keep(fd: c_int) {
    let before = CONFIGURED.swap(fd, Ordering::AcqRel);
    if before >= 0 {
        keeping_errno(|| raw::close(before));
    }
}

/// Whether a file system is one that the node's tree has in its place at all times.
///
/// # Safety
/// `kind` is NULL or a C string.
unsafe fn is_mounted_always(kind: *const c_char) -> bool {
    // SAFETY: by contract.
    !kind.is_null()
        && matches!(unsafe { CStr::from_ptr(kind) }.to_bytes(), b"configfs" | b"debugfs")
}

hooks! {
    fn mount(
        source: *const c_char,
        target: *const c_char,
        kind: *const c_char,
        flags: c_ulong,
        data: *const c_void,
    ) -> c_int {
        if is_mounted_always(kind) && Root::get().is_some() && flags & NO_DEVICE == 0 {
            let mut room = Room::new();
            let to = lead!(room, AT_FDCWD, target);
            if to.is_in_tree() {
                return 0;
            }
        }
        if Root::get().is_none() || source.is_null() || flags & NO_DEVICE != 0 {
            return real::mount(source, target, kind, flags, data);
        }
        let mut room = Room::new();
        let to = lead!(room, AT_FDCWD, source);
        match keeping_errno(|| Loop::before(to.path(), flags & MS_RDONLY != 0)) {
            Ok(Some(device)) => real::mount(device.path(), target, kind, flags, data),
            Ok(None) => real::mount(to.path(), target, kind, flags, data),
            Err(error) => fail(error),
        }
    }

    // A program that is told that there is no such call uses mount(2).
    fn fsopen(kind: *const c_char, flags: c_uint) -> c_int {
        if is_mounted_always(kind) && Root::get().is_some() {
            return fail(libc::ENOSYS);
        }
        real::fsopen(kind, flags)
    }

    fn fsconfig(
        fd: c_int,
        command: c_uint,
        key: *const c_char,
        value: *const c_void,
        more: c_int,
    ) -> c_int {
        let is_source = command == FSCONFIG_SET_STRING
            && Root::get().is_some()
            && !key.is_null()
            && !value.is_null()
            && libc::strcmp(key, c"source".as_ptr()) == 0;
        if is_source {
            let mut room = Room::new();
            let to = lead!(room, AT_FDCWD, value.cast());
            // Whether the file system will be read-only is not known yet.
            let device = keeping_errno(|| match Loop::before(to.path(), false) {
                Err(libc::EROFS | libc::EACCES) => Loop::before(to.path(), true),
                other => other,
            });
            return match device {
                Ok(Some(device)) => {
                    let result = real::fsconfig(fd, command, key, device.path().cast(), more);
                    keep(device.into_fd());
                    result
                }
                Ok(None) => real::fsconfig(fd, command, key, to.path().cast(), more),
                Err(error) => fail(error),
            };
        }
        let result = real::fsconfig(fd, command, key, value, more);
        if matches!(command, FSCONFIG_CMD_CREATE | FSCONFIG_CMD_CREATE_EXCL) {
            keep(-1);
        }
        result
    }
}
