// SPDX-License-Identifier: GPL-2.0-only
//! The number of a device, `dev_t` of `include/linux/kdev_t.h`: twelve bits of major number, twenty of minor number.

use std::fmt;

const MINOR_BITS: u32 = 20;

/// The number of a device. `Display` gives `major:minor`, as sysfs does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Devt(u32);

impl Devt {
    /// One past the largest minor number.
    pub const MINORS: u32 = 1 << MINOR_BITS;

    /// The number of `minor` below `major`: `MKDEV`.
    pub const fn new(major: u32, minor: u32) -> Devt {
        Devt(major << MINOR_BITS | minor & (Devt::MINORS - 1))
    }

    /// From a number as stat(2) of the host tells it.
    pub fn of_host(dev: libc::dev_t) -> Devt {
        Devt::new(libc::major(dev), libc::minor(dev))
    }

    /// From a `dev_t` of the kernel.
    pub const fn from_raw(raw: u32) -> Devt {
        Devt(raw)
    }

    /// As a `dev_t` of the kernel. That of libc is laid out otherwise.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// `MAJOR`.
    pub const fn major(self) -> u32 {
        self.0 >> MINOR_BITS
    }

    /// `MINOR`.
    pub const fn minor(self) -> u32 {
        self.0 & (Devt::MINORS - 1)
    }
}

impl fmt::Display for Devt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major(), self.minor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let devt = Devt::new(147, 3);
        assert_eq!((devt.raw(), devt.major(), devt.minor()), (147 << 20 | 3, 147, 3));
        assert_eq!(Devt::from_raw(devt.raw()).to_string(), "147:3");
        assert_eq!(Devt::new(0xfff, 0xf_ffff).raw(), u32::MAX);
    }
}
