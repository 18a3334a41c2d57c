// SPDX-License-Identifier: GPL-2.0-only
//! The device number of a file in the tree, which its inode number carries.

use libc::{S_IFMT, S_IFREG};

use crate::root::Root;

/// "BL" in the top 16 bits of the inode number, 32 bits of device number below.
const MARK: u64 = 0x424c << 48;

/// Major and minor number when `inode` is that of a block device of a node.
pub fn device(inode: u64) -> Option<(u32, u32)> {
    let number = inode.checked_sub(MARK)?;
    // u32: the bits between are zero.
    let number = u32::try_from(number).ok()?;
    Some((number >> 20, number & 0xf_ffff))
}

/// The same for the file `st` describes.
pub fn device_of(st: &libc::stat) -> Option<(u32, u32)> {
    let number = device(st.st_ino).filter(|_| st.st_mode & S_IFMT == S_IFREG)?;
    Root::get()?.is_on_tree(st.st_dev).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_numbers_of_devices_are_told_from_others() {
        assert_eq!(device(0x424c << 48 | 147 << 20 | 1), Some((147, 1)));
        assert_eq!(device(0x424c << 48 | 0xfff << 20 | 0xf_ffff), Some((0xfff, 0xf_ffff)));
        assert_eq!(device(0x424c << 48 | 1 << 32), None);
        assert_eq!(device(0x424d << 48), None);
        assert_eq!(device(147 << 20 | 1), None);
    }
}
