// SPDX-License-Identifier: GPL-2.0-only
//! Lists of pages, copies that begin and end anywhere, and walks.

use super::miter::{sg_miter_next, sg_miter_skip, sg_miter_start, sg_miter_stop};
use super::*;

/// A list of new pages.
struct List(*mut sys::scatterlist, c_uint);

impl List {
    fn new(length: u64) -> List {
        let mut nents = 0;
        // SAFETY: a place for the number.
        let sgl = unsafe { sgl_alloc(length, gfp::KERNEL | gfp::ZERO, &raw mut nents) };
        assert!(!sgl.is_null());
        List(sgl, nents)
    }

    fn write(&self, data: &[u8], skip: i64) -> usize {
        // SAFETY: the list has so many entries, the slice so many bytes.
        unsafe { sg_pcopy_from_buffer(self.0, self.1, data.as_ptr().cast(), data.len(), skip) }
    }

    fn read(&self, len: usize, skip: i64) -> Vec<u8> {
        let mut data = vec![0; len];
        // SAFETY: as above.
        let have = unsafe {
            sg_pcopy_to_buffer(self.0, self.1, data.as_mut_ptr().cast(), data.len(), skip)
        };
        data.truncate(have);
        data
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { sgl_free(self.0) };
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn copies_end_with_the_data_or_with_the_list() {
    let list = List::new(10_000);
    assert_eq!(list.1, 3);
    // SAFETY: the list is alive.
    let lens: Vec<usize> = unsafe { pieces(list.0) }.map(|(_, len)| len).collect();
    assert_eq!(lens, [4096, 4096, 1808]);
    let data = pattern(10_000);
    assert_eq!(list.write(&data, 0), 10_000);
    assert_eq!(list.read(20_000, 0), data);
    assert_eq!(list.read(5000, 4000), data[4000..9000]);
    assert_eq!(list.read(5000, 9000), data[9000..]);
    assert_eq!(list.read(1, 10_000), []);
    assert_eq!(list.write(&[9; 100], 9950), 50);
    // SAFETY: the list has so many entries.
    assert_eq!(unsafe { sg_zero_buffer(list.0, list.1, 200, 4000) }, 200);
    assert_eq!(list.read(202, 3999)[..2], [data[3999], 0]);
    assert_eq!(list.read(202, 3999)[201], data[4200]);
    // Fewer entries than the list has.
    // SAFETY: the list has more.
    assert_eq!(unsafe { sg_zero_buffer(list.0, 1, 10_000, 0) }, 4096);
}

#[test]
fn walks_give_pages_and_what_was_not_consumed() {
    let list = List::new(9000);
    let data = pattern(9000);
    list.write(&data, 0);
    let mut miter = sys::sg_mapping_iter::default();
    let mut seen: Vec<u8> = Vec::new();
    // SAFETY: the list lives, and the walk is this test's; so for all calls.
    unsafe { sg_miter_start(&raw mut miter, list.0, list.1, sys::SG_MITER_FROM_SG) };
    // SAFETY: as above.
    while unsafe { sg_miter_next(&raw mut miter) } {
        let take = miter.length.min(3000);
        // SAFETY: a piece of the list.
        seen.extend_from_slice(unsafe { std::slice::from_raw_parts(miter.addr.cast(), take) });
        miter.consumed = take;
    }
    assert_eq!(seen, data);
    // SAFETY: the list outlives the walk, which only this test moves.
    unsafe {
        sg_miter_start(&raw mut miter, list.0, list.1, sys::SG_MITER_FROM_SG);
        assert!(sg_miter_skip(&raw mut miter, 5000));
        assert!(sg_miter_next(&raw mut miter));
    }
    assert_eq!(miter.length, 8192 - 5000);
    // SAFETY: a piece of the list.
    assert_eq!(unsafe { *miter.addr.cast::<u8>() }, data[5000]);
    // SAFETY: the list outlives the walk, which only this test moves.
    unsafe {
        sg_miter_stop(&raw mut miter);
        assert!(!sg_miter_skip(&raw mut miter, 5000));
        assert!(!sg_miter_next(&raw mut miter));
    }
}

#[test]
fn tables_of_a_driver() {
    let mut made = sys::sg_table::default();
    // SAFETY: a place for a table, freed below.
    unsafe {
        assert_eq!(sg_alloc_table(&raw mut made, 0, gfp::KERNEL), Errno::EINVAL.neg());
        assert_eq!(sg_alloc_table(&raw mut made, 1000, gfp::KERNEL), 0);
    }
    assert_eq!((made.nents, made.orig_nents), (1000, 1000));
    // SAFETY: the last of its entries.
    assert_eq!(unsafe { (*made.sgl.add(999)).page_link }, u64::from(sys::SG_END));
    // SAFETY: the table was made above.
    unsafe { sg_free_table(&raw mut made) };
    assert!(made.sgl.is_null());
}
