// SPDX-License-Identifier: GPL-2.0-only
//! Volumes of device-mapper, by the ioctls of `/dev/mapper/control` (`linux/dm-ioctl.h`, version 4.0).

use anyhow::{Result, anyhow, bail};
use umc::Kernel;
use umc::char_file::CharFile;
use umc::tree::Kind;

/// Bytes of `struct dm_ioctl`, and of `struct dm_target_spec`.
const HEADER: usize = 312;
const SPEC: usize = 40;
/// Where the fields of the header are.
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const NAME: usize = 48;
/// `DM_SUSPEND_FLAG`.
const SUSPEND: u32 = 1 << 1;

/// Commands.
const DEV_CREATE: u32 = 3;
const DEV_SUSPEND: u32 = 6;
const TABLE_LOAD: u32 = 9;

fn put(buf: &mut [u8], at: usize, value: u32) {
    buf[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

/// One command for the device of a name.
fn command(kernel: &'static Kernel, cmd: u32, name: &str, flags: u32, data: &[u8]) -> Result<()> {
    let control = kernel.tree.resolve("/dev/mapper/control").map_err(|errno| anyhow!("{errno}"))?;
    let Kind::Char(devt) = control.kind else { bail!("/dev/mapper/control is no device") };
    let file = CharFile::open(kernel, devt, libc::O_RDWR).map_err(|errno| anyhow!("{errno}"))?;
    let mut buf = vec![0; (HEADER + data.len()).max(16 << 10)];
    let len = buf.len() as u32;
    put(&mut buf, 0, 4);
    put(&mut buf, DATA_SIZE, len);
    put(&mut buf, DATA_START, HEADER as u32);
    put(&mut buf, TARGET_COUNT, u32::from(!data.is_empty()));
    put(&mut buf, FLAGS, flags);
    buf[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
    buf[HEADER..HEADER + data.len()].copy_from_slice(data);
    // _IOWR(0xfd, …)
    let number = 3 << 30 | (HEADER as u32) << 16 | 0xfd << 8 | cmd;
    match file.ioctl(number, buf.as_mut_ptr().expose_provenance() as u64) {
        0 => Ok(()),
        errno => bail!("device-mapper refuses command {cmd} for {name}: errno {}", -errno),
    }
}

/// A device without a table.
pub fn create(kernel: &'static Kernel, name: &str) -> Result<()> {
    command(kernel, DEV_CREATE, name, 0, &[])
}

/// Gives a device this table of one target, now.
pub fn load(
    kernel: &'static Kernel,
    name: &str,
    sectors: u64,
    target: &str,
    params: &str,
) -> Result<()> {
    let mut spec = vec![0; (SPEC + params.len() + 1).next_multiple_of(8)];
    spec[8..16].copy_from_slice(&sectors.to_ne_bytes());
    let len = spec.len() as u32;
    put(&mut spec, 20, len);
    spec[24..24 + target.len()].copy_from_slice(target.as_bytes());
    spec[SPEC..SPEC + params.len()].copy_from_slice(params.as_bytes());
    command(kernel, TABLE_LOAD, name, 0, &spec)?;
    // What is under way ends by the table of before.
    command(kernel, DEV_SUSPEND, name, SUSPEND, &[])?;
    command(kernel, DEV_SUSPEND, name, 0, &[])
}
