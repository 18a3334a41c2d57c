// SPDX-License-Identifier: GPL-2.0-only
//! What Debian's qcow handler would damage, found before it opens the image.
//!
//! The handler knows no features: it writes into what a snapshot shares, takes clusters of zeros for data, and runs off
//! the end of a reference table that is too small. What it does not recognise it opens as a raw disk, so that the first
//! write destroys an image of another format.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"QFI\xfb";
/// Bytes of the header of version 3 as far as it is looked at.
const HEADER_BYTES: usize = 104;
/// The handler's own limits.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=16;

/// Formats that are no disks, by what stands where.
const OTHERS: [(&str, usize, &[u8]); 8] = [
    ("VMDK", 0, b"KDMV"),
    ("VMDK", 0, b"COWD"),
    ("VMDK", 0, b"# Disk DescriptorFile"),
    ("VDI", 64, b"\x7f\x10\xda\xbe"),
    ("VHDX", 0, b"vhdxfile"),
    ("VHD", 0, b"conectix"),
    ("QED", 0, b"QED\0"),
    ("Parallels", 0, b"WithoutFreeSpace"),
];

/// Bits of an entry of a table.
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1 << 0;
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// The longest chain of backing files that is followed.
const CHAIN_MAX: u32 = 64;

/// Why the handler must not open this image; `None`: it may.
///
/// # Errors
/// Of the host, when the image cannot be read.
pub fn objection(path: &Path) -> io::Result<Option<String>> {
    objection_in_chain(path, 0)
}

/// All but the first image of a chain are only read.
fn objection_in_chain(path: &Path, depth: u32) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    let mut head = [0; HEADER_BYTES];
    read_as_zeros(&file, &mut head, 0)?;
    if head.starts_with(MAGIC) {
        let found = match number(&head, 4) {
            // Version 1 has none of this.
            1 => None,
            2 | 3 => Header::of(&head).objection(&file, depth == 0)?,
            version => Some(format!("it is qcow version {version}, which nobody knows")),
        };
        return match backing_file(&file, &head, path)? {
            Some(backing) if found.is_none() && depth < CHAIN_MAX => {
                let found = objection_in_chain(&backing, depth + 1)?;
                Ok(found.map(|text| format!("its backing file {}: {text}", backing.display())))
            }
            _ => Ok(found),
        };
    }
    let is = |&&(_, at, magic): &&(&str, usize, &[u8])| head[at..].starts_with(magic);
    Ok(OTHERS.iter().find(is).map(|(name, ..)| {
        format!("it is a {name} image, which the handler would take for the disk itself")
    }))
}

/// The image on which this one stands.
fn backing_file(file: &File, head: &[u8], path: &Path) -> io::Result<Option<PathBuf>> {
    let (at, len) = (long(head, 8), number(head, 16) as usize);
    if at == 0 || len == 0 || len >= libc::PATH_MAX as usize {
        return Ok(None);
    }
    let mut name = vec![0; len];
    read_as_zeros(file, &mut name, at)?;
    // The handler looks from where the image really is.
    let path = path.canonicalize()?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    Ok(Some(dir.join(OsStr::from_bytes(&name))))
}

/// Reads; what lies behind the end is zeros.
fn read_as_zeros(file: &File, mut buf: &mut [u8], mut at: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, at)? {
            0 => break,
            read => (buf, at) = (&mut buf[read..], at + read as u64),
        }
    }
    buf.fill(0);
    Ok(())
}

fn number(head: &[u8], at: usize) -> u32 {
    head[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn long(head: &[u8], at: usize) -> u64 {
    head[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A header of version 2 or 3.
struct Header {
    cluster_bits: u32,
    size: u64,
    l1_entries: u32,
    l1_at: u64,
    refcount_clusters: u32,
    snapshots: u32,
    incompatible: u64,
    autoclear: u64,
    refcount_order: u32,
}

impl Header {
    fn of(head: &[u8]) -> Header {
        let is_new = number(head, 4) >= 3;
        let new = |value: u64| if is_new { value } else { 0 };
        Header {
            cluster_bits: number(head, 20),
            size: long(head, 24),
            l1_entries: number(head, 36),
            l1_at: long(head, 40),
            refcount_clusters: number(head, 56),
            snapshots: number(head, 60),
            incompatible: new(long(head, 72)),
            autoclear: new(long(head, 88)),
            refcount_order: if is_new { number(head, 96) } else { 4 },
        }
    }

    fn objection(&self, file: &File, writes: bool) -> io::Result<Option<String>> {
        let feature = self.feature().or_else(|| self.feature_of_writing().filter(|_| writes));
        if let Some(feature) = feature {
            return Ok(Some(feature.to_owned()));
        }
        let (reach, need) = (self.reach(), self.need(file.metadata()?.len()));
        if writes && reach < need {
            let text = format!(
                "its reference table is for {reach} bytes, and with clusters of {} bytes the image \
                 can become {need} bytes long",
                1 << self.cluster_bits
            );
            return Ok(Some(text));
        }
        self.special_cluster(file, writes)
    }

    /// What the header tells of things that the handler misunderstands.
    fn feature(&self) -> Option<&'static str> {
        const KNOWN: u64 = 0b11;
        Some(match () {
            () if self.incompatible & 1 << 2 != 0 => "its data is in another file",
            () if self.incompatible & 1 << 3 != 0 => "it has a compression of its own",
            () if self.incompatible & 1 << 4 != 0 => "it has extended L2 entries",
            () if self.incompatible & !KNOWN != 0 => "it has features that nobody here knows",
            () if !CLUSTER_BITS.contains(&self.cluster_bits) => {
                "the handler knows no clusters of its size"
            }
            () if self.refcount_order > 6 => "its reference counts have no known size",
            () => return None,
        })
    }

    /// The same for things that it would damage.
    fn feature_of_writing(&self) -> Option<&'static str> {
        Some(match () {
            () if self.snapshots > 0 => "it has internal snapshots, and would lose them",
            () if self.incompatible & 1 << 0 != 0 => "it was not closed in order",
            () if self.incompatible & 1 << 1 != 0 => "it is marked as corrupt",
            () if self.autoclear != 0 => "it has bitmaps, which would miss what is written",
            () => return None,
        })
    }

    /// Bytes of clusters that the reference table can count. The handler does not extend it.
    fn reach(&self) -> u64 {
        let entries = u128::from(self.refcount_clusters) << (self.cluster_bits - 3);
        let counts = 1_u128 << (self.cluster_bits + 3 - self.refcount_order);
        u64::try_from((entries * counts) << self.cluster_bits).unwrap_or(u64::MAX)
    }

    /// Bytes that the file can come to have: what is there, and all that is not allocated yet, with its tables.
    fn need(&self, len: u64) -> u64 {
        let cluster = 1_u64 << self.cluster_bits;
        let tables = self.size.div_ceil(cluster / 8);
        let counts = self.size.saturating_add(tables).div_ceil(cluster << 3 >> self.refcount_order);
        let allocated = self.size.saturating_add(tables).saturating_add(counts);
        let fixed =
            (u64::from(self.refcount_clusters) + 1) * cluster + u64::from(self.l1_entries) * 8;
        len.max(allocated.saturating_add(fixed.next_multiple_of(cluster)))
    }

    /// Looks for clusters that are not plain data.
    fn special_cluster(&self, file: &File, writes: bool) -> io::Result<Option<String>> {
        let mut l1 = vec![0; self.l1_entries.min(1 << 22) as usize * 8];
        read_as_zeros(file, &mut l1, self.l1_at)?;
        let mut l2 = vec![0; 1 << self.cluster_bits];
        for index in 0..l1.len() / 8 {
            let table = long(&l1, index * 8) & OFFSET;
            if table == 0 {
                continue;
            }
            read_as_zeros(file, &mut l2, table)?;
            for at in (0..l2.len()).step_by(8) {
                let entry = long(&l2, at);
                if entry & COMPRESSED != 0 {
                    return Ok(Some("it has compressed clusters".to_owned()));
                }
                // One of zeros without a place is read well, and never written well.
                if entry & ZERO != 0 && (writes || entry & OFFSET != 0) {
                    let text = "it has clusters of zeros, which the handler takes for data";
                    return Ok(Some(text.to_owned()));
                }
            }
        }
        Ok(None)
    }
}
