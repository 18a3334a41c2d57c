// SPDX-License-Identifier: GPL-2.0-only
//! libtcmu's helpers for SCSI commands, data pieces and sense data, under their C names.
//!
//! They behave as those of libtcmu 1.5.4: `tests/libtcmu.rs` compares them with the real library.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null_mut;
use std::slice;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use libc::iovec;

use crate::abi::{self, sts};
use crate::exports::tcmu_lba_to_byte;

/// Bytes of a CDB by the group in the top three bits of its opcode; 0: unknown.
const GROUP_BYTES: [u8; 8] = [6, 10, 10, 0, 16, 12, 0, 0];

/// VARIABLE LENGTH CDB.
const OPCODE_VARIABLE: u8 = 0x7f;

/// The bytes of a CDB, by its own statement.
///
/// # Safety
/// `cdb` points to a whole CDB.
unsafe fn cdb_bytes<'a>(cdb: *const u8) -> Option<&'a [u8]> {
    // SAFETY: a CDB has at least one byte, and one of this opcode at least eight.
    let len = unsafe {
        if *cdb == OPCODE_VARIABLE {
            usize::from(*cdb.add(7)) + 8
        } else {
            usize::from(GROUP_BYTES[usize::from(*cdb >> 5)])
        }
    };
    // SAFETY: the caller's contract.
    (len > 0).then(|| unsafe { slice::from_raw_parts(cdb, len) })
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Bytes of a CDB, or `-EINVAL`.
///
/// # Safety
/// `cdb` points to a whole CDB.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cdb_get_length(cdb: *mut u8) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { cdb_bytes(cdb) }.map_or(-libc::EINVAL, |bytes| bytes.len() as c_int)
}

/// The first block of a command; 0 for a CDB without one.
///
/// # Safety
/// `cdb` points to a whole CDB.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cdb_get_lba(cdb: *mut u8) -> u64 {
    // SAFETY: the caller's contract.
    let bytes = unsafe { cdb_bytes(cdb) }.unwrap_or_default();
    match bytes.len() {
        6 => be(&bytes[1..4]) & 0x1f_ffff,
        10 | 12 => be(&bytes[2..6]),
        16 => be(&bytes[2..10]),
        32 if bytes[0] == OPCODE_VARIABLE => be(&bytes[12..20]),
        _ => 0,
    }
}

/// The number of blocks of a command; 0 for a CDB without one.
///
/// # Safety
/// `cdb` points to a whole CDB.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cdb_get_xfer_length(cdb: *mut u8) -> u32 {
    // SAFETY: the caller's contract.
    let bytes = unsafe { cdb_bytes(cdb) }.unwrap_or_default();
    match bytes.len() {
        6 => bytes[4].into(),
        10 => be(&bytes[7..9]) as u32,
        12 => be(&bytes[6..10]) as u32,
        16 => be(&bytes[10..14]) as u32,
        32 if bytes[0] == OPCODE_VARIABLE => be(&bytes[28..32]) as u32,
        _ => 0,
    }
}

/// The byte offset of a command's first block.
///
/// # Safety
/// `dev` is a live device of this host, `cdb` points to a whole CDB.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cdb_to_byte(dev: *mut abi::Device, cdb: *mut u8) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { tcmu_lba_to_byte(dev, tcmu_cdb_get_lba(cdb)) }
}

/// Logs a CDB, with `info` behind it, at the level of SCSI dumps.
///
/// # Safety
/// `cmd` is a command with a CDB, `info` null or a string.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cdb_print_info(
    _dev: *mut abi::Device,
    cmd: *const abi::LibCmd,
    info: *const c_char,
) {
    // SAFETY: the caller's contract.
    let bytes = unsafe { cdb_bytes((*cmd).cdb) }.unwrap_or_default();
    let info = if info.is_null() {
        "".into()
    } else {
        // SAFETY: the caller's contract.
        unsafe { CStr::from_ptr(info) }.to_string_lossy()
    };
    tracing::trace!(target: "handlers", "cdb {bytes:02x?} {}", info.trim_end());
}

/// Consumes `count` bytes of the pieces, in place. Returns how many whole pieces were consumed.
///
/// # Safety
/// The pieces hold at least `count` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_iovec_seek(mut iov: *mut iovec, mut count: usize) -> usize {
    let mut whole = 0;
    while count > 0 {
        // SAFETY: the caller's contract: bytes are left, so a piece is.
        let piece = unsafe { &mut *iov };
        if count >= piece.iov_len {
            count -= piece.iov_len;
            piece.iov_len = 0;
            // SAFETY: one past a piece that exists.
            iov = unsafe { iov.add(1) };
            whole += 1;
        } else {
            piece.iov_base = piece.iov_base.wrapping_byte_add(count);
            piece.iov_len -= count;
            count = 0;
        }
    }
    whole
}

/// Consumes `count` bytes of a command's data.
///
/// # Safety
/// `cmd` is a command whose data holds at least `count` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_cmd_seek(cmd: *mut abi::LibCmd, count: usize) {
    // SAFETY: `cmd` is a command that the caller has alone; its data holds `count` bytes, so
    // `whole` pieces are there to pass.
    unsafe {
        let whole = tcmu_iovec_seek((*cmd).iovec, count);
        (*cmd).iovec = (*cmd).iovec.add(whole);
        (*cmd).iov_cnt -= whole;
    }
}

/// The pieces as a slice.
///
/// # Safety
/// `iov` points to `count` pieces.
unsafe fn pieces<'a>(iov: *mut iovec, count: usize) -> &'a mut [iovec] {
    if count == 0 {
        return &mut [];
    }
    // SAFETY: the caller's contract.
    unsafe { slice::from_raw_parts_mut(iov, count) }
}

/// The bytes of all pieces.
///
/// # Safety
/// `iov` points to `count` pieces.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_iovec_length(iov: *mut iovec, count: usize) -> usize {
    // SAFETY: the caller's contract.
    unsafe { pieces(iov, count) }.iter().map(|piece| piece.iov_len).sum()
}

/// Fills all pieces with zeros.
///
/// # Safety
/// `iov` points to `count` pieces of writable memory.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_iovec_zero(iov: *mut iovec, count: usize) {
    // SAFETY: the caller's contract.
    for piece in unsafe { pieces(iov, count) } {
        // SAFETY: the caller's contract.
        unsafe { piece.iov_base.cast::<u8>().write_bytes(0, piece.iov_len) };
    }
}

/// Do all pieces hold zeros only?
///
/// # Safety
/// `iov` points to `count` pieces of readable memory.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_iovec_zeroed(iov: *mut iovec, count: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe { pieces(iov, count) }.iter().all(|piece| {
        // SAFETY: the caller's contract; an empty piece has no address to keep.
        piece.iov_len == 0
            || unsafe { slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len) }
                .iter()
                .all(|byte| *byte == 0)
    })
}

/// Compares memory with the pieces: -1 when equal, otherwise the offset of the first difference.
///
/// # Safety
/// `mem` has `size` bytes, the pieces at least as many.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_iovec_compare(
    mem: *mut c_void,
    mut iov: *mut iovec,
    size: usize,
) -> libc::off_t {
    let mut at = 0;
    while at < size {
        // SAFETY: the caller's contract: bytes are left, so a piece is.
        let piece = unsafe { &*iov };
        let len = piece.iov_len.min(size - at);
        if len > 0 {
            // SAFETY: `mem` has `size` bytes, `at + len` is at most that, and the piece has `len`.
            let (ours, theirs) = unsafe {
                (
                    slice::from_raw_parts(mem.cast::<u8>().add(at), len),
                    slice::from_raw_parts(piece.iov_base.cast::<u8>(), len),
                )
            };
            if let Some(differs) = ours.iter().zip(theirs).position(|(a, b)| a != b) {
                return (at + differs) as libc::off_t;
            }
        }
        at += len;
        // SAFETY: one past a piece that exists.
        iov = unsafe { iov.add(1) };
    }
    -1
}

/// Copies into the pieces and consumes what was filled. Returns the bytes copied.
///
/// # Safety
/// `iov` points to `count` pieces of writable memory, `src` to `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_memcpy_into_iovec(
    iov: *mut iovec,
    count: usize,
    src: *mut c_void,
    len: usize,
) -> usize {
    let mut copied = 0;
    // SAFETY: the caller's contract.
    for piece in unsafe { pieces(iov, count) } {
        let part = piece.iov_len.min(len - copied);
        // SAFETY: both sides hold `part` bytes by the caller's contract.
        unsafe { src.byte_add(copied).copy_to_nonoverlapping(piece.iov_base, part) };
        piece.iov_base = piece.iov_base.wrapping_byte_add(part);
        piece.iov_len -= part;
        copied += part;
        if copied == len {
            break;
        }
    }
    copied
}

/// Copies from the pieces and consumes what was read. Returns the bytes copied.
///
/// # Safety
/// `iov` points to `count` pieces of readable memory, `dest` to `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_memcpy_from_iovec(
    dest: *mut c_void,
    len: usize,
    iov: *mut iovec,
    count: usize,
) -> usize {
    let mut copied = 0;
    // SAFETY: the caller's contract.
    for piece in unsafe { pieces(iov, count) } {
        let part = piece.iov_len.min(len - copied);
        // SAFETY: both sides hold `part` bytes by the caller's contract.
        unsafe { dest.byte_add(copied).copy_from_nonoverlapping(piece.iov_base, part) };
        piece.iov_base = piece.iov_base.wrapping_byte_add(part);
        piece.iov_len -= part;
        copied += part;
        if copied == len {
            break;
        }
    }
    copied
}

/// Bytes of fixed-format sense data that the fields below lie in.
const SENSE_FIXED_BYTES: usize = 18;

/// Bytes of a whole sense buffer.
const SENSE_BYTES: usize = abi::SENSE_BYTES;

/// Fills a sense buffer; returns the status that says so.
///
/// # Safety
/// `sense` is null or has 96 bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_sense_set_data(sense: *mut u8, key: u8, asc_ascq: u16) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { __tcmu_sense_set_data(sense, key, asc_ascq) };
    sts::PASSTHROUGH_ERR
}

/// Fills a sense buffer.
///
/// # Safety
/// `sense` is null or has 96 bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __tcmu_sense_set_data(sense: *mut u8, key: u8, asc_ascq: u16) {
    if sense.is_null() {
        return;
    }
    // SAFETY: the caller's contract.
    let sense = unsafe { slice::from_raw_parts_mut(sense, SENSE_BYTES) };
    sense.fill(0);
    // Fixed format, current error; seven bytes and ten more follow.
    sense[0] = 0x70;
    sense[2] = key;
    sense[7] = 0xa;
    sense[12..14].copy_from_slice(&asc_ascq.to_be_bytes());
}

/// Makes the sense data nothing but an information field, as libtcmu does.
///
/// # Safety
/// `sense` has at least 18 bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_sense_set_info(sense: *mut u8, info: u32) {
    // SAFETY: the caller's contract.
    let sense = unsafe { slice::from_raw_parts_mut(sense, SENSE_FIXED_BYTES) };
    sense.fill(0);
    sense[0] = 0x80;
    sense[3..7].copy_from_slice(&info.to_be_bytes());
}

/// Makes the sense data nothing but a sense-key specific field, as libtcmu does.
///
/// # Safety
/// `sense` has at least 18 bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_sense_set_key_specific_info(sense: *mut u8, info: u16) {
    // SAFETY: the caller's contract.
    let sense = unsafe { slice::from_raw_parts_mut(sense, SENSE_FIXED_BYTES) };
    sense.fill(0);
    sense[15] = 0x80;
    sense[16..18].copy_from_slice(&info.to_be_bytes());
}

/// Names the calling thread `PREFIX-DISK`, cut to what the host shows.
///
/// # Safety
/// `prefix` is a string, `dev` null or a live device of this host.
///
/// # Context
/// A thread of the handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_set_thread_name(prefix: *const c_char, dev: *mut abi::Device) {
    // SAFETY: the caller's contract.
    let (prefix, device) =
        unsafe { (CStr::from_ptr(prefix), crate::device::Device::from_abi(dev)) };
    let mut name = prefix.to_bytes().to_vec();
    if let Some(device) = device {
        name.push(b'-');
        name.extend_from_slice(device.name.as_bytes());
    }
    // The kernel keeps that many.
    name.truncate(15);
    if let Ok(name) = CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// Ends a thread of the handler and waits for it.
///
/// # Safety
/// `thread` is a joinable thread.
///
/// # Context
/// May block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tcmu_thread_cancel(thread: libc::pthread_t) {
    // SAFETY: `thread` is joinable, and nobody else joins it.
    unsafe {
        if libc::pthread_cancel(thread) == 0 {
            libc::pthread_join(thread, null_mut());
        }
    }
}

/// The log level a handler set; kept for it, as `tracing` decides what is shown.
static LOG_LEVEL: AtomicI32 = AtomicI32::new(3);

/// Reads the log level.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_get_log_level() -> c_int {
    LOG_LEVEL.load(Relaxed)
}

/// Sets the log level. What is shown is decided by the node's own log, so this is only remembered.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_set_log_level(level: c_int) {
    LOG_LEVEL.store(level, Relaxed);
}

/// Reads a file of configfs, which no node has: null.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_get_str(_path: *const c_char) -> *mut c_char {
    null_mut()
}

/// Reads a number of configfs, which no node has.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_get_int(_path: *const c_char) -> c_int {
    -libc::ENOENT
}

/// Writes a file of configfs, which no node has.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_set_str(
    _path: *const c_char,
    _val: *const c_char,
    _len: c_int,
) -> c_int {
    -libc::ENOENT
}

/// Writes a number of configfs, which no node has.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_set_u32(_path: *const c_char, _value: u32) -> c_int {
    -libc::ENOENT
}

/// Writes a parameter of the kernel's module, which no node has.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn tcmu_cfgfs_mod_param_set_u32(_name: *const c_char, _value: u32) -> c_int {
    -libc::ENOENT
}
