// SPDX-License-Identifier: GPL-2.0-only
//! Loop devices of the host that stand before a device of the node.
//!
//! [`crate::mount`] puts one there, and mount tables name it: tools that grow or check a mounted file system open it by
//! that name. Every other loop device of the host belongs to somebody else.

use core::ffi::CStr;

use crate::map;
use crate::raw;
use crate::root::{Root, join};

/// Whether `name` is that of a loop device of the host whose file lies in the node's tree.
pub fn stands_before_a_device_of(root: &Root, name: &[u8]) -> bool {
    let Some(device) = name.strip_prefix(b"/dev/").filter(|device| is_loop(device)) else {
        return false;
    };
    let (mut path, mut file) = ([0; 64], [0; 4096]);
    join(b"/sys/block/", &[device, b"/loop/backing_file"], &mut path)
        .and_then(|path: &CStr| raw::read_file(path, &mut file).ok())
        .is_some_and(|file| map::is_below(file, root.path()))
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
