// SPDX-License-Identifier: GPL-2.0-only
//! Sequences against a plain model.

use super::*;
use crate::seq_file::output::{__seq_puts, seq_pad, seq_put_decimal_ll, seq_put_hex_ll, seq_putc};

/// What the functions below find behind `private`: the records, and how often start and stop were called.
struct Model {
    records: Vec<Vec<u8>>,
    starts: usize,
    stops: usize,
    shows: usize,
}

/// # Safety
/// The sequence is one of [`with_sequence`].
unsafe fn model<'a>(m: *mut sys::seq_file) -> &'a mut Model {
    // SAFETY: the tests put it there.
    unsafe { &mut *(*m).private.cast::<Model>() }
}

unsafe extern "C" fn start(m: *mut sys::seq_file, pos: *mut sys::loff_t) -> *mut c_void {
    // SAFETY: as for the model.
    let (model, pos) = unsafe { (model(m), *pos as usize) };
    model.starts += 1;
    item(model, pos)
}

fn item(model: &Model, pos: usize) -> *mut c_void {
    match pos < model.records.len() {
        true => std::ptr::without_provenance_mut(pos + 2),
        false => std::ptr::null_mut(),
    }
}

unsafe extern "C" fn next(
    m: *mut sys::seq_file,
    _item: *mut c_void,
    pos: *mut sys::loff_t,
) -> *mut c_void {
    // SAFETY: as for the model.
    unsafe {
        *pos += 1;
        item(model(m), *pos as usize)
    }
}

unsafe extern "C" fn stop(m: *mut sys::seq_file, _item: *mut c_void) {
    // SAFETY: as for the model.
    unsafe { model(m) }.stops += 1;
}

/// An empty record is one to be skipped, after some output that must not be seen.
unsafe extern "C" fn show(m: *mut sys::seq_file, item: *mut c_void) -> c_int {
    // SAFETY: as for the model.
    let model = unsafe { model(m) };
    model.shows += 1;
    let record = model.records[item.addr() - 2].clone();
    if record == b"!" {
        return Errno::ESTALE.neg();
    }
    if record.is_empty() {
        // SAFETY: the sequence of a running show.
        unsafe { __seq_puts(m, c"unseen".as_ptr()) };
        return 1;
    }
    for byte in record {
        // SAFETY: as above.
        unsafe { seq_putc(m, byte as c_char) };
    }
    0
}

fn with_sequence(records: Vec<Vec<u8>>, test: impl FnOnce(&mut sys::seq_file, *mut Model)) {
    let mut model = Model { records, starts: 0, stops: 0, shows: 0 };
    let op = sys::seq_operations {
        start: Some(start),
        stop: Some(stop),
        next: Some(next),
        show: Some(show),
    };
    let mut m =
        sys::seq_file { op: &raw const op, private: (&raw mut model).cast(), ..Default::default() };
    let model = &raw mut model;
    test(&mut m, model);
    free_buf(&mut m);
    // SAFETY: the test is over.
    let model = unsafe { &*model };
    assert_eq!(model.starts, model.stops);
}

fn read_at(m: &mut sys::seq_file, pos: usize, len: usize) -> Result<Vec<u8>> {
    let mut buf = vec![0; len];
    let done = read(m, &mut buf, pos as sys::loff_t)?;
    m.read_pos = (pos + done) as sys::loff_t;
    buf.truncate(done);
    Ok(buf)
}

/// Records of all sizes, some larger than the first buffer.
fn records() -> Vec<Vec<u8>> {
    let sizes = [1, 17, 4095, 0, 4096, 4097, 3, 20_000, 0, 1, 1, 5000];
    let record = |(index, size): (usize, &usize)| vec![b'a' + index as u8; *size];
    sizes.iter().enumerate().map(record).collect()
}

#[test]
fn all_of_it_in_pieces_of_any_size() {
    let whole: Vec<u8> = records().concat();
    for len in [1, 7, 4096, 5000, 1 << 20] {
        with_sequence(records(), |m, _| {
            let mut seen = Vec::new();
            loop {
                let piece = read_at(m, seen.len(), len).unwrap();
                if piece.is_empty() {
                    break;
                }
                seen.extend(piece);
            }
            assert!(seen == whole, "pieces of {len}");
        });
    }
}

#[test]
fn any_position() {
    let whole: Vec<u8> = records().concat();
    with_sequence(records(), |m, _| {
        for pos in [0, 30_000, 1, 18, 4113, 4114, 12_345, whole.len() - 1, whole.len(), 99_999, 5] {
            let piece = read_at(m, pos, 100).unwrap();
            let rest = whole.get(pos..).unwrap_or_default();
            assert!(rest.starts_with(&piece), "at {pos}");
            assert_eq!(piece.is_empty(), rest.is_empty(), "at {pos}");
        }
    });
}

#[test]
fn an_error_after_good_records_comes_late() {
    let records = vec![b"good".to_vec(), b"!".to_vec(), b"never".to_vec()];
    with_sequence(records, |m, _| {
        assert_eq!(read_at(m, 0, 100).unwrap(), b"good");
        assert_eq!(read_at(m, 4, 100), Err(Errno::ESTALE));
        assert_eq!(read_at(m, 4, 100), Err(Errno::ESTALE));
        assert_eq!(read_at(m, 0, 2).unwrap(), b"go");
    });
}

#[test]
fn one_walk_serves_many_small_records() {
    let records = vec![b"0123456789".to_vec(); 100];
    with_sequence(records, |m, model| {
        assert_eq!(read_at(m, 0, 4096).unwrap().len(), 1000);
        // SAFETY: between two reads nobody else uses the model.
        let model = unsafe { &*model };
        assert_eq!((model.starts, model.shows), (1, 100));
    });
}

#[test]
fn output_functions() {
    let mut m = sys::seq_file::default();
    resize(&mut m, 64).unwrap();
    let at: *mut sys::seq_file = &raw mut m;
    // SAFETY: a live sequence with a buffer.
    unsafe {
        seq_put_decimal_ll(at, c"n=".as_ptr(), -5);
        seq_put_hex_ll(at, c" x=".as_ptr(), 0xab, 4);
        (*at).pad_until = 20;
        seq_pad(at, b'|' as c_char);
    }
    let mut to = [0; 64];
    let len = flush(&mut m, &mut to);
    assert_eq!(std::str::from_utf8(&to[..len]).unwrap(), "n=-5 x=00ab         |");
    m.from = 0;
    let at: *mut sys::seq_file = &raw mut m;
    // SAFETY: as above.
    unsafe {
        __seq_puts(at, c"0123456789012345678901234567890123456789012345678901234567890123".as_ptr())
    };
    assert_eq!(m.count, m.size);
    free_buf(&mut m);
}
