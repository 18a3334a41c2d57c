// SPDX-License-Identifier: GPL-2.0-only
//! Loop devices of the host that stand before a device of the node.
//!
//! [`crate::mount`] puts one there, and mount tables name it: tools that grow or check a mounted file system open it by
//! that name. Every other loop device of the host belongs to somebody else. What is mounted has the loop device's number,
//! where on a kernel it has the device's own.

use core::ffi::CStr;

use crate::bytes::{decimal, join};
use crate::device::block_device_of;
use crate::map;
use crate::raw;
use crate::root::Root;

/// Loop devices have this major number.
const MAJOR: u32 = 7;

/// What stands behind a loop device, as far as it lies in the node's tree: its path, in `file`.
fn behind<'a>(root: &Root, dir: &[&[u8]], file: &'a mut [u8; 4096]) -> Option<&'a CStr> {
    let mut path = [0; 64];
    let path = join(b"/sys/", dir, &mut path)?;
    let len = raw::read_file(path, &mut file[..4095]).ok()?.len();
    let len = if len > 0 && file[len - 1] == b'\n' { len - 1 } else { len };
    file[len] = 0;
    let file = CStr::from_bytes_until_nul(file).ok()?;
    map::is_below(file.to_bytes(), root.path()).then_some(file)
}

/// `/dev/drbd0` for the name of a loop device that stands before it.
pub fn device_name(root: &Root, name: &[u8]) -> Option<Vec<u8>> {
    let device = name.strip_prefix(b"/dev/").filter(|device| is_loop(device))?;
    let mut file = [0; 4096];
    let file = behind(root, &[b"block/", device, b"/loop/backing_file"], &mut file)?;
    let name = file.to_bytes().strip_prefix(root.path())?.strip_prefix(b"/dev/")?;
    Some(mapped(root, name).unwrap_or_else(|| [b"/dev/", name].concat()))
}

/// `/dev/mapper/NAME` for a mapped device: the name by which mount(8) gives it to the kernel, and tools look for it.
fn mapped(root: &Root, device: &[u8]) -> Option<Vec<u8>> {
    let (mut path, mut name) = ([0; 4096], [0; 256]);
    let path = join(root.path(), &[b"/sys/block/", device, b"/dm/name"], &mut path)?;
    let name = raw::read_file(path, &mut name).ok()?.strip_suffix(b"\n")?;
    Some([b"/dev/mapper/", name].concat())
}

/// The number of the device for that of a loop device that stands before it.
pub fn device_number(root: &Root, number: libc::dev_t) -> Option<(u32, u32)> {
    if libc::major(number) != MAJOR {
        return None;
    }
    let mut digits = [0; 10];
    let minor = decimal(libc::minor(number), &mut digits);
    let mut file = [0; 4096];
    let file = behind(root, &[b"dev/block/7:", minor, b"/loop/backing_file"], &mut file)?;
    block_device_of(&raw::fstatat(libc::AT_FDCWD, file.as_ptr(), 0).ok()?)
}

/// Whether `name` is that of a loop device of the host whose file lies in the node's tree.
pub fn stands_before_a_device_of(root: &Root, name: &[u8]) -> bool {
    let Some(device) = name.strip_prefix(b"/dev/").filter(|device| is_loop(device)) else {
        return false;
    };
    let mut file = [0; 4096];
    behind(root, &[b"block/", device, b"/loop/backing_file"], &mut file).is_some()
}

/// Whether this is `loop` and a number.
fn is_loop(device: &[u8]) -> bool {
    device
        .strip_prefix(b"loop")
        .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::is_loop;

    #[test]
    fn loop_devices_are_known_by_their_names() {
        assert!(is_loop(b"loop0") && is_loop(b"loop17"));
        assert!(!is_loop(b"loop") && !is_loop(b"loop-control") && !is_loop(b"loop0p1"));
    }
}
