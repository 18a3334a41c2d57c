// SPDX-License-Identifier: GPL-2.0-only
//! The device number of a file in the tree, which its inode number carries.

use libc::{S_IFBLK, S_IFCHR, S_IFMT, S_IFREG, mode_t};

use crate::root::Root;

/// What kind of device a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Block,
    Char,
}

impl Kind {
    /// Its type in the mode that stat(2) says.
    pub fn mode(self) -> mode_t {
        match self {
            Kind::Block => S_IFBLK,
            Kind::Char => S_IFCHR,
        }
    }

    /// Its type in an entry of a directory.
    pub fn entry(self) -> u8 {
        match self {
            Kind::Block => libc::DT_BLK,
            Kind::Char => libc::DT_CHR,
        }
    }
}

/// "BL" or "CH" in the top 16 bits of the inode number, 32 bits of device number below.
const MARKS: [(u64, Kind); 2] = [(0x424c << 48, Kind::Block), (0x4348 << 48, Kind::Char)];

/// Kind, major and minor number when `inode` is that of a device of a node.
pub fn device(inode: u64) -> Option<(Kind, (u32, u32))> {
    MARKS.into_iter().find_map(|(mark, kind)| {
        // u32: the bits between are zero.
        let number = u32::try_from(inode.checked_sub(mark)?).ok()?;
        Some((kind, (number >> 20, number & 0xf_ffff)))
    })
}

/// The same for the file `st` describes.
pub fn device_of(st: &libc::stat) -> Option<(Kind, (u32, u32))> {
    let device = device(st.st_ino).filter(|_| st.st_mode & S_IFMT == S_IFREG)?;
    Root::get()?.is_on_tree(st.st_dev).then_some(device)
}

/// The number of a block device.
pub fn block_device_of(st: &libc::stat) -> Option<(u32, u32)> {
    device_of(st).filter(|(kind, _)| *kind == Kind::Block).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_numbers_of_devices_are_told_from_others() {
        let block = |number| Some((Kind::Block, number));
        assert_eq!(device(0x424c << 48 | 147 << 20 | 1), block((147, 1)));
        assert_eq!(device(0x424c << 48 | 0xfff << 20 | 0xf_ffff), block((0xfff, 0xf_ffff)));
        assert_eq!(device(0x4348 << 48 | 10 << 20 | 236), Some((Kind::Char, (10, 236))));
        assert_eq!(device(0x424c << 48 | 1 << 32), None);
        assert_eq!(device(0x424d << 48), None);
        assert_eq!(device(147 << 20 | 1), None);
    }
}
