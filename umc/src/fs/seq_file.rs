// SPDX-License-Identifier: GPL-2.0-only
//! Text files made record by record.
//!
//! C header: `include/linux/seq_file.h` (API of 6.12).
//! Guarantees kept: a record is shown whole or not at all, the buffer doubles until one fits; reads at a position other than
//! the last one start over and skip; `stop` is called after each `start`; one read at a time per open file.
//! Differs from Linux: no `read_iter`, no per-net files, no memory limit on a record but that of the process.
//! Used by DRBD for: `/proc/drbd`, all files in debugfs, `lru_cache`'s statistics.

use std::ffi::{c_char, c_int, c_void};

use crate::errno::{from_ret, ptr_err};
use crate::mutex::abi::{mutex_lock, mutex_unlock};
use crate::{Errno, Result, sys};

pub(crate) mod list;
pub(crate) mod output;
#[cfg(test)]
mod tests;

/// What the first buffer holds.
const PAGE: usize = 4096;

/// A buffer of a sequence. The memory is zeroed once: a driver may format into the middle and read it back.
fn alloc(size: usize) -> Result<*mut c_char> {
    // SAFETY: calloc has no obligations; free in `free_buf` is its counterpart.
    let buf = unsafe { libc::calloc(1, size) };
    if buf.is_null() { Err(Errno::ENOMEM) } else { Ok(buf.cast()) }
}

/// Frees the buffer.
fn free_buf(m: &mut sys::seq_file) {
    // SAFETY: the buffer came from `alloc` or is NULL.
    unsafe { libc::free(m.buf.cast()) };
    m.buf = std::ptr::null_mut();
    m.size = 0;
}

/// Replaces the buffer by one of `size` bytes, empty.
fn resize(m: &mut sys::seq_file, size: usize) -> Result<()> {
    free_buf(m);
    m.count = 0;
    m.buf = alloc(size)?;
    m.size = size;
    Ok(())
}

/// The iterator's functions, called with the sequence as a raw pointer, since the driver writes to it.
///
/// # Invariants
/// `m` is live with a valid `op`, and `m.lock` is held.
struct Walk {
    m: *mut sys::seq_file,
    item: *mut c_void,
}

impl Walk {
    fn m(&mut self) -> &mut sys::seq_file {
        // SAFETY: type invariant; the reference ends before the driver is called again.
        unsafe { &mut *self.m }
    }

    fn op(&self) -> sys::seq_operations {
        // SAFETY: type invariant; the table is constant.
        unsafe { *(*self.m).op }
    }

    /// Starts at `index`; each start is followed by a stop.
    fn start(m: *mut sys::seq_file) -> Walk {
        let mut walk = Walk { m, item: std::ptr::null_mut() };
        let start = walk.op().start.expect("seq_operations without start");
        // SAFETY: `index` is a field of the live sequence; the type's contract covers the call.
        walk.item = unsafe { start(m, &raw mut (*m).index) };
        walk
    }

    /// The current item: `Ok(false)` at the end, an error where the driver made one.
    fn is_at_item(&self) -> Result<bool> {
        match ptr_err(self.item) {
            Some(error) => Err(error),
            None => Ok(!self.item.is_null()),
        }
    }

    /// Shows the item behind what is in the buffer. True when it gave output or asked for the next: false when it is to
    /// be skipped.
    fn show(&mut self) -> Result<bool> {
        let show = self.op().show.expect("seq_operations without show");
        // SAFETY: the item is the driver's, and not stopped yet.
        let ret = from_ret(unsafe { show(self.m, self.item) })?;
        Ok(ret == 0)
    }

    fn next(&mut self) {
        let next = self.op().next.expect("seq_operations without next");
        // SAFETY: as for `start` and `show`.
        self.item = unsafe { next(self.m, self.item, &raw mut (*self.m).index) };
    }

    fn next_checked(&mut self) {
        let before = self.m().index;
        self.next();
        if self.m().index == before {
            // A `next` that forgets the position would show its item for ever.
            self.m().index += 1;
        }
    }

    fn stop(self) {
        let stop = self.op().stop.expect("seq_operations without stop");
        // SAFETY: as for `show`; NULL and error items are handed on, as on Linux.
        unsafe { stop(self.m, self.item) };
    }
}

/// Brings the sequence to `offset`: shows from the start and throws away, leaving the rest of the last record in the
/// buffer.
fn traverse(m: *mut sys::seq_file, offset: sys::loff_t) -> Result<()> {
    loop {
        // SAFETY: the caller holds the lock of the live sequence.
        let seq = unsafe { &mut *m };
        (seq.index, seq.count, seq.from) = (0, 0, 0);
        if offset == 0 {
            return Ok(());
        }
        if seq.buf.is_null() {
            resize(seq, PAGE)?;
        }
        let mut walk = Walk::start(m);
        match skip(&mut walk, offset) {
            Ok(true) => {
                walk.stop();
                return Ok(());
            }
            Err(error) => {
                walk.stop();
                return Err(error);
            }
            Ok(false) => {
                walk.stop();
                // SAFETY: as above.
                let seq = unsafe { &mut *m };
                let size = seq.size * 2;
                resize(seq, size)?;
            }
        }
    }
}

/// The walk of [`traverse`]; false when a record did not fit.
fn skip(walk: &mut Walk, offset: sys::loff_t) -> Result<bool> {
    let mut pos: sys::loff_t = 0;
    while walk.is_at_item()? {
        if !walk.show()? {
            walk.m().count = 0;
        }
        let seq = walk.m();
        if seq.count == seq.size {
            return Ok(false);
        }
        let shown = seq.count as sys::loff_t;
        // The index goes past each record that is shown, also past the one that is kept in part.
        walk.next_checked();
        let seq = walk.m();
        if pos + shown > offset {
            seq.from = (offset - pos) as usize;
            seq.count -= seq.from;
            return Ok(true);
        }
        pos += shown;
        seq.count = 0;
        if pos == offset {
            return Ok(true);
        }
    }
    Ok(true)
}

/// Copies what is in the buffer; the number of bytes.
fn flush(m: &mut sys::seq_file, to: &mut [u8]) -> usize {
    let len = m.count.min(to.len());
    if len > 0 {
        // SAFETY: `from + count` bytes of the buffer are filled.
        let filled = unsafe { std::slice::from_raw_parts(m.buf.add(m.from).cast::<u8>(), len) };
        to[..len].copy_from_slice(filled);
    }
    m.from += len;
    m.count -= len;
    len
}

/// Fills the buffer with one record at least, more while they fit. False at the end.
fn fill(m: *mut sys::seq_file, wanted: usize) -> Result<bool> {
    // SAFETY: the caller holds the lock of the live sequence.
    unsafe { (*m).from = 0 };
    let mut walk = Walk::start(m);
    let first = loop {
        match walk
            .is_at_item()
            .and_then(|is_item| if is_item { walk.show().map(Some) } else { Ok(None) })
        {
            Err(error) => break Err(error),
            Ok(None) => break Ok(false),
            Ok(Some(false)) => walk.m().count = 0,
            Ok(Some(true)) => {}
        }
        let seq = walk.m();
        if seq.count == seq.size {
            walk.stop();
            // SAFETY: as above.
            let seq = unsafe { &mut *m };
            let size = seq.size * 2;
            resize(seq, size)?;
            walk = Walk::start(m);
            continue;
        }
        if seq.count > 0 {
            break Ok(true);
        }
        walk.next_checked();
    };
    if first != Ok(true) {
        walk.m().count = 0;
        walk.stop();
        return first;
    }
    fill_more(&mut walk, wanted);
    walk.stop();
    Ok(true)
}

/// Adds records while they fit and the reader wants more. What fails here fails again at the next read.
fn fill_more(walk: &mut Walk, wanted: usize) {
    walk.next_checked();
    while walk.m().count < wanted && walk.is_at_item() == Ok(true) {
        let before = walk.m().count;
        let shown = walk.show();
        let seq = walk.m();
        if seq.count == seq.size || shown.is_err() {
            seq.count = before;
            return;
        }
        if shown == Ok(false) {
            seq.count = before;
        }
        walk.next_checked();
    }
}

fn read(m: *mut sys::seq_file, to: &mut [u8], pos: sys::loff_t) -> Result<usize> {
    // SAFETY: the caller holds the lock of the live sequence.
    let seq = unsafe { &mut *m };
    if pos == 0 {
        (seq.index, seq.count) = (0, 0);
    }
    if pos != seq.read_pos {
        traverse(m, pos).inspect_err(|_| {
            // SAFETY: as above.
            let seq = unsafe { &mut *m };
            (seq.read_pos, seq.index, seq.count) = (0, 0, 0);
        })?;
        // SAFETY: as above.
        unsafe { (*m).read_pos = pos };
    }
    // SAFETY: as above.
    let seq = unsafe { &mut *m };
    if seq.buf.is_null() {
        resize(seq, PAGE)?;
    }
    let mut done = flush(seq, to);
    if done == to.len() || (seq.count > 0) {
        return Ok(done);
    }
    match fill(m, to.len() - done) {
        // SAFETY: as above.
        Ok(true) => done += flush(unsafe { &mut *m }, &mut to[done..]),
        Ok(false) => {}
        Err(error) if done == 0 => return Err(error),
        Err(_) => {}
    }
    Ok(done)
}

/// Reads the next text of a sequence.
///
/// # Safety
/// `file` was opened by [`seq_open`] or one of its kin; `buf` is valid for `size` bytes, `ppos` for a loff_t.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_read(
    file: *mut sys::file,
    buf: *mut c_char,
    size: usize,
    ppos: *mut sys::loff_t,
) -> isize {
    if size == 0 {
        return 0;
    }
    // SAFETY: seq_open put its struct there.
    let m = unsafe { (*file).private_data.cast::<sys::seq_file>() };
    let fill = |to: &mut [u8]| {
        // SAFETY: the lock lives in the sequence.
        unsafe { mutex_lock(&raw mut (*m).lock) };
        // SAFETY: `ppos` is valid, and the caller's during the call.
        let result = read(m, to, unsafe { *ppos });
        if let Ok(done) = result {
            // SAFETY: `ppos` is valid, and the lock of the sequence is held.
            unsafe {
                *ppos += done as sys::loff_t;
                (*m).read_pos = *ppos;
            }
        }
        // SAFETY: taken above.
        unsafe { mutex_unlock(&raw mut (*m).lock) };
        match result {
            Ok(done) => done as isize,
            Err(error) => error.neg() as isize,
        }
    };
    // SAFETY: `buf` is the caller's, for `size` bytes.
    unsafe { crate::uaccess::fill_for_caller(buf.cast(), size, fill) }
}

/// Moves the position of a sequence: from the start or from where it is.
///
/// # Safety
/// As for [`seq_read`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_lseek(
    file: *mut sys::file,
    offset: sys::loff_t,
    whence: c_int,
) -> sys::loff_t {
    // SAFETY: `file` was opened here and is live.
    let pos = unsafe { (*file).f_pos };
    let base = match whence {
        libc::SEEK_SET => 0,
        libc::SEEK_CUR => pos,
        _ => return -sys::loff_t::from(libc::EINVAL),
    };
    match base.checked_add(offset) {
        Some(to) if to >= 0 => {
            // SAFETY: as above. The next read finds another position and walks there.
            unsafe { (*file).f_pos = to };
            to
        }
        _ => -sys::loff_t::from(libc::EINVAL),
    }
}

/// Opens a sequence over the functions of `op`.
///
/// # Safety
/// `file` is being opened; `op` is valid until the release.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_open(file: *mut sys::file, op: *const sys::seq_operations) -> c_int {
    let m = sys::seq_file { op, file, ..Default::default() };
    // SAFETY: the caller's contract; the box is taken back by seq_release.
    unsafe { (*file).private_data = Box::into_raw(Box::new(m)).cast() };
    0
}

/// Closes a sequence.
///
/// # Safety
/// As for [`seq_read`]; nobody reads any more.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_release(_inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    // SAFETY: `file` was opened here, and nobody reads any more.
    let m = unsafe { std::mem::replace(&mut (*file).private_data, std::ptr::null_mut()) };
    // SAFETY: made by seq_open.
    let mut m = unsafe { Box::from_raw(m.cast::<sys::seq_file>()) };
    free_buf(&mut m);
    0
}

/// Opens a sequence with `psize` zeroed bytes of its own; returns them, or NULL.
///
/// # Safety
/// As for [`seq_open`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __seq_open_private(
    file: *mut sys::file,
    op: *const sys::seq_operations,
    psize: c_int,
) -> *mut c_void {
    // SAFETY: plain values; the driver or seq_release_private gives it to kfree.
    let private = unsafe { crate::slab::kzalloc(psize.max(0) as usize, crate::mm::gfp::KERNEL) };
    if private.is_null() {
        return private;
    }
    // SAFETY: `file` is being opened, so it is the caller's alone; `op` is valid until the release.
    unsafe { seq_open(file, op) };
    // SAFETY: seq_open put its struct there.
    unsafe { (*(*file).private_data.cast::<sys::seq_file>()).private = private };
    private
}

/// [`__seq_open_private`] for callers that do not want the bytes.
///
/// # Safety
/// As for [`seq_open`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_open_private(
    file: *mut sys::file,
    op: *const sys::seq_operations,
    psize: c_int,
) -> c_int {
    // SAFETY: `file` is being opened, so it is the caller's alone; `op` is valid until the release.
    let private = unsafe { __seq_open_private(file, op, psize) };
    if private.is_null() { Errno::ENOMEM.neg() } else { 0 }
}

/// Closes what [`seq_open_private`] opened.
///
/// # Safety
/// As for [`seq_release`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seq_release_private(
    inode: *mut sys::inode,
    file: *mut sys::file,
) -> c_int {
    // SAFETY: `file` was opened here, so its private data are a sequence.
    let m = unsafe { (*file).private_data.cast::<sys::seq_file>() };
    // SAFETY: as above; the bytes came from kmalloc.
    let private = unsafe { std::mem::replace(&mut (*m).private, std::ptr::null_mut()) };
    // SAFETY: as above.
    unsafe { crate::slab::kfree(private) };
    // SAFETY: as above.
    unsafe { seq_release(inode, file) }
}

/// The start of a sequence of one record.
///
/// # Safety
/// `pos` is valid.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn single_start(
    _m: *mut sys::seq_file,
    pos: *mut sys::loff_t,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    if unsafe { *pos } == 0 { std::ptr::without_provenance_mut(1) } else { std::ptr::null_mut() }
}

unsafe extern "C" fn single_next(
    _m: *mut sys::seq_file,
    _item: *mut c_void,
    pos: *mut sys::loff_t,
) -> *mut c_void {
    // SAFETY: the walk hands in its own index.
    unsafe { *pos += 1 };
    std::ptr::null_mut()
}

/// One record holds nothing between start and stop, so there is nothing to let go of.
unsafe extern "C" fn single_stop(_m: *mut sys::seq_file, _item: *mut c_void) {}

/// Opens a file of one record that `show` makes.
///
/// # Safety
/// `file` is being opened; `show` and `data` are valid until the release.
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn single_open(
    file: *mut sys::file,
    show: Option<unsafe extern "C" fn(*mut sys::seq_file, *mut c_void) -> c_int>,
    data: *mut c_void,
) -> c_int {
    let op = sys::seq_operations {
        start: Some(single_start),
        stop: Some(single_stop),
        next: Some(single_next),
        show,
    };
    // SAFETY: the table is freed by single_release, after the last read.
    unsafe { seq_open(file, Box::into_raw(Box::new(op))) };
    // SAFETY: seq_open put its struct there.
    unsafe { (*(*file).private_data.cast::<sys::seq_file>()).private = data };
    0
}

/// [`single_open`] with a first buffer of `size` bytes.
///
/// # Safety
/// As for [`single_open`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn single_open_size(
    file: *mut sys::file,
    show: Option<unsafe extern "C" fn(*mut sys::seq_file, *mut c_void) -> c_int>,
    data: *mut c_void,
    size: usize,
) -> c_int {
    let Ok(buf) = alloc(size.max(1).next_power_of_two()) else { return Errno::ENOMEM.neg() };
    // SAFETY: `file` is being opened, so it is the caller's alone; `show` and `data` are valid
    // until the release.
    unsafe { single_open(file, show, data) };
    // SAFETY: single_open put its struct there.
    let m = unsafe { &mut *(*file).private_data.cast::<sys::seq_file>() };
    (m.buf, m.size) = (buf, size.max(1).next_power_of_two());
    0
}

/// Closes what [`single_open`] opened.
///
/// # Safety
/// As for [`seq_release`].
///
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn single_release(inode: *mut sys::inode, file: *mut sys::file) -> c_int {
    // SAFETY: `file` was opened by `single_open`, which put a sequence with an `op` of its own
    // there.
    let op = unsafe { (*(*file).private_data.cast::<sys::seq_file>()).op };
    // SAFETY: as above.
    let ret = unsafe { seq_release(inode, file) };
    // SAFETY: the table was boxed by single_open.
    drop(unsafe { Box::from_raw(op.cast_mut()) });
    ret
}
