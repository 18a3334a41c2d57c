// SPDX-License-Identifier: GPL-2.0-only
//! What the allocator of pages promises.

use std::collections::HashMap;

use super::*;

fn write(page: *mut sys::page, order: u32, byte: u8) {
    // SAFETY: the caller owns the block.
    unsafe { ptr::write_bytes(address(page), byte, PAGE_SIZE << order) };
}

fn holds(page: *mut sys::page, order: u32, byte: u8) -> bool {
    // SAFETY: the caller owns the block.
    unsafe { std::slice::from_raw_parts(address(page), PAGE_SIZE << order) }
        .iter()
        .all(|found| *found == byte)
}

fn frame_at(page: *mut sys::page) -> &'static Frame {
    frame_of(page, "test")
}

#[test]
fn arithmetic_is_total() {
    let page = alloc(0, gfp::KERNEL).unwrap().as_ptr();
    assert_eq!(page_of(address(page)), page);
    assert_eq!(page_of(address(page).wrapping_add(PAGE_SIZE - 1)), page);
    assert!(in_arena(page));
    let elsewhere = Box::new([0u8; 8]);
    let page_elsewhere = page_of(elsewhere.as_ptr());
    assert!(!in_arena(page_elsewhere));
    assert_eq!(address(page_elsewhere).addr(), elsewhere.as_ptr().addr() & !(PAGE_SIZE - 1));
    put(page);
}

#[test]
fn blocks_are_aligned_and_zeroed_on_request() {
    for order in [0, 1, 3, 8, 10] {
        // SAFETY: no obligations; the block is freed with its order.
        unsafe {
            let page = alloc_pages(gfp::KERNEL, order);
            assert_eq!(address(page).addr() % (PAGE_SIZE << order), 0);
            write(page, order, 0xa5);
            __free_pages(page, order);
            let page = alloc_pages(gfp::KERNEL | gfp::ZERO, order);
            assert!(holds(page, order, 0));
            __free_pages(page, order);
        }
    }
    // SAFETY: no obligations.
    assert!(unsafe { alloc_pages(gfp::KERNEL, MAX_PAGE_ORDER + 1) }.is_null());
}

#[test]
fn a_new_page_has_clean_fields() {
    let page = alloc(0, 0).unwrap().as_ptr();
    // SAFETY: the page is ours.
    unsafe {
        (*page).flags = 0xff00;
        (*page).__bindgen_anon_1.__bindgen_anon_1.private = 42;
    }
    put(page);
    let again = alloc(0, 0).unwrap().as_ptr();
    assert_eq!(again, page, "what was freed last is used first");
    // SAFETY: the page is ours.
    unsafe {
        assert_eq!((*again).flags, 0);
        assert_eq!((*again).__bindgen_anon_1.__bindgen_anon_1.private, 0);
    }
    assert_eq!(count(again), 1);
    get(again);
    put(again);
    assert_eq!(count(again), 1);
    put(again);
}

#[test]
fn a_compound_page_counts_on_its_head() {
    let page = alloc(2, gfp::COMP).unwrap().as_ptr();
    let tail = page.wrapping_add(3);
    get(tail);
    assert_eq!((count(page), count(tail)), (2, 2));
    put(page);
    assert_eq!(count(tail), 1);
    put(tail);
    assert_eq!(frame_at(page).refs(), 0);
}

#[test]
fn a_shared_head_outlives_its_block() {
    // SAFETY: the block is freed with its order while another reference to its first page is held.
    unsafe {
        let page = alloc_pages(0, 3);
        write(page, 3, 1);
        get(page);
        __free_pages(page, 3);
        let fill: Vec<_> = (0..64).map(|_| alloc(0, 0).unwrap().as_ptr()).collect();
        assert!(!fill.contains(&page));
        assert!(holds(page, 0, 1));
        put(page);
        fill.into_iter().for_each(put);
    }
}

#[test]
fn exact_allocations_give_back_the_rest() {
    // SAFETY: freed with the size it was made with.
    unsafe {
        let addr = alloc_pages_exact(5 * PAGE_SIZE, gfp::ZERO);
        let page = page_of(addr.cast());
        assert!((0..5).all(|index| count(page.wrapping_add(index)) == 1));
        assert!((5..8).all(|index| frame_at(page.wrapping_add(index)).refs() == 0));
        free_pages_exact(addr, 5 * PAGE_SIZE);
        assert!((0..5).all(|index| frame_at(page.wrapping_add(index)).refs() == 0));
    }
}

#[test]
fn buffers_outlive_themselves_where_a_page_is_held() {
    let mut buf = PageBuf::zeroed(300_000).unwrap();
    assert_eq!(buf.len(), 300_000);
    buf.as_mut_slice().fill(9);
    let held = buf.first_page().wrapping_add(7);
    get(held);
    drop(buf);
    assert!(holds(held, 0, 9));
    assert_eq!(count(held), 1);
    put(held);
    assert!(PageBuf::new(PageBuf::MAX_LEN + 1).is_err());
    assert_eq!(PageBuf::new(PageBuf::MAX_LEN).unwrap().as_slice().len(), PageBuf::MAX_LEN);
}

#[test]
fn freed_memory_goes_back_to_the_host() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
    };
    let before = resident();
    let blocks: Vec<_> = (0..48)
        .map(|_| {
            let page = alloc(10, 0).unwrap().as_ptr();
            write(page, 10, 1);
            page
        })
        .collect();
    let used = resident();
    // SAFETY: each block is freed with its order.
    blocks.into_iter().for_each(|page| unsafe { __free_pages(page, 10) });
    let after = resident();
    assert!(used > before + 40 * 1024, "{before} {used}");
    assert!(after < used - 20 * 1024, "{used} pages were in use, {after} are kept");
}

/// Threads allocate, fill, check and free blocks of all sizes, and hand pages to each other: no block is ever given
/// out twice, and everything comes back.
#[test]
fn threads_never_share_a_block() {
    const THREADS: u64 = 4;
    let (send, receive) = std::sync::mpsc::channel::<(usize, u8)>();
    let ops = mte::current();
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let send = send.clone();
            let main = move || {
                let mut random = seed * 7919 + 1;
                let mut mine: HashMap<usize, (u32, u8)> = HashMap::new();
                for round in 0..4000u32 {
                    random =
                        random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let order = [0, 0, 0, 1, 0, 2, 4, 0][(random >> 60) as usize % 8];
                    let byte = (random >> 32) as u8;
                    let page = alloc(order, 0).unwrap().as_ptr();
                    write(page, order, byte);
                    assert!(mine.insert(page.addr(), (order, byte)).is_none());
                    if mine.len() > 50 || round % 3 == 0 {
                        let (&addr, &(order, byte)) = mine.iter().next().unwrap();
                        mine.remove(&addr);
                        let page = ptr::with_exposed_provenance_mut(addr);
                        assert!(holds(page, order, byte));
                        if order == 0 && round % 2 == 0 {
                            send.send((addr, byte)).unwrap();
                        } else {
                            // SAFETY: the block is ours, of this order.
                            unsafe { __free_pages(page, order) };
                        }
                    }
                }
                for (addr, (order, byte)) in mine {
                    let page = ptr::with_exposed_provenance_mut(addr);
                    assert!(holds(page, order, byte));
                    // SAFETY: the block is ours, of this order.
                    unsafe { __free_pages(page, order) };
                }
            };
            ops.thread_start("pages", Box::new(main)).unwrap()
        })
        .collect();
    drop(send);
    for (addr, byte) in receive {
        let page = ptr::with_exposed_provenance_mut(addr);
        assert!(holds(page, 0, byte));
        put(page);
    }
    threads.into_iter().for_each(|thread| ops.thread_join(thread));
}
