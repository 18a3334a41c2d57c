// SPDX-License-Identifier: GPL-2.0-only
use super::*;

fn zeroed() -> sys::idr {
    sys::idr { __umc: [0; 4] }
}

fn pointer(number: usize) -> *mut c_void {
    ptr::without_provenance_mut(number * 8)
}

#[test]
fn an_unlocked_lock_is_zero() {
    // SAFETY: the lock is one word.
    let word: usize = unsafe { std::mem::transmute(RawRwLock::INIT) };
    assert_eq!(word, 0);
}

#[test]
fn ids_are_the_lowest_free_ones() {
    let mut idr = zeroed();
    let idr = &raw mut idr;
    // SAFETY: the table is the test's own.
    unsafe {
        assert!(idr_is_empty(idr));
        for id in 0..5 {
            assert_eq!(idr_alloc(idr, pointer(id as usize + 1), 0, 0, 0), id);
        }
        assert_eq!(idr_remove(idr, 2), pointer(3));
        assert_eq!(idr_remove(idr, 2), ptr::null_mut());
        assert_eq!(idr_find(idr, 2), ptr::null_mut());
        assert_eq!(idr_alloc(idr, pointer(9), 1, 0, 0), 2);
        assert_eq!(idr_alloc(idr, pointer(9), 3, 5, 0), Errno::ENOSPC.neg());
        assert_eq!(idr_alloc(idr, pointer(9), 10, 11, 0), 10);
        assert_eq!(idr_alloc(idr, pointer(9), 10, 11, 0), Errno::ENOSPC.neg());
        assert_eq!(idr_alloc(idr, pointer(9), -1, 0, 0), Errno::EINVAL.neg());
        assert_eq!(idr_replace(idr, pointer(7), 10), pointer(9));
        assert_eq!(idr_replace(idr, pointer(7), 11) as isize, -2);
        idr_destroy(idr);
        assert!(idr_is_empty(idr));
        assert!((*idr.cast::<Table>()).map.is_null());
    }
}

#[test]
fn walks_skip_holes_and_reserved_ids() {
    let mut idr = zeroed();
    let idr = &raw mut idr;
    unsafe extern "C" fn collect(id: c_int, _value: *mut c_void, data: *mut c_void) -> c_int {
        // SAFETY: the test passes its vector.
        unsafe { (*data.cast::<Vec<c_int>>()).push(id) };
        0
    }
    // SAFETY: the table is the test's own.
    unsafe {
        for start in [3, 7, 7, 1000] {
            idr_alloc(idr, pointer(1), start, 0, 0);
        }
        idr_alloc(idr, ptr::null_mut(), 5, 0, 0);
        assert!(!idr_is_empty(idr));
        let mut seen = Vec::new();
        let mut id = 0;
        while !idr_get_next(idr, &raw mut id).is_null() {
            seen.push(id);
            id += 1;
        }
        assert_eq!(seen, [3, 7, 8, 1000]);
        let mut visited: Vec<c_int> = Vec::new();
        idr_for_each(idr, Some(collect), (&raw mut visited).cast());
        assert_eq!(visited, seen);
        assert_eq!(idr_alloc(idr, pointer(1), 5, 0, 0), 6);
        idr_destroy(idr);
    }
}

#[test]
fn cyclic_ids_wrap() {
    let mut idr = zeroed();
    let idr = &raw mut idr;
    // SAFETY: the table is the test's own.
    unsafe {
        idr_init_base(idr, 1);
        let next = || idr_alloc_cyclic(idr, pointer(1), 0, 4, 0);
        assert_eq!([next(), next(), next()], [1, 2, 3]);
        assert_eq!(next(), Errno::ENOSPC.neg());
        idr_remove(idr, 2);
        assert_eq!(idr_alloc_cyclic(idr, pointer(1), 0, 4, 0), 2);
        assert_eq!(idr_get_cursor(idr), 3);
        idr_destroy(idr);
    }
}

#[test]
fn lookups_run_beside_changes() {
    struct Shared(sys::idr);
    // SAFETY: the table locks inside.
    unsafe impl Sync for Shared {}
    let shared = Shared(zeroed());
    let idr = || (&raw const shared.0).cast_mut();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..2000 {
                // SAFETY: the table locks inside.
                unsafe {
                    assert_eq!(idr_alloc(idr(), pointer(5), 5, 6, 0), 5, "round {round}");
                    assert_eq!(idr_remove(idr(), 5), pointer(5));
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    // SAFETY: the table locks inside.
                    let found = unsafe { idr_find(idr(), 5) };
                    assert!(found.is_null() || found == pointer(5));
                }
            });
        }
    });
    // SAFETY: the table is the test's own again.
    assert!(unsafe { idr_is_empty(idr()) });
}

#[test]
fn ida() {
    let mut ida = sys::ida { __umc: [0; 4] };
    let ida = &raw mut ida;
    // SAFETY: the table is the test's own.
    unsafe {
        assert_eq!(ida_alloc_range(ida, 0, u32::MAX, 0), 0);
        assert_eq!(ida_alloc_range(ida, 0, u32::MAX, 0), 1);
        assert_eq!(ida_alloc_range(ida, 1, 1, 0), Errno::ENOSPC.neg());
        ida_free(ida, 0);
        assert_eq!(ida_alloc_range(ida, 0, u32::MAX, 0), 0);
        assert!(!ida_is_empty(ida));
        ida_destroy(ida);
        assert!(ida_is_empty(ida));
    }
}

/// Goal: the runs of ids that are taken always say what the ids say. Against a plain set, with ranges and both ends.
#[test]
fn the_lowest_free_id_of_any_range() {
    let mut idr = zeroed();
    let idr = &raw mut idr;
    let mut taken = std::collections::BTreeSet::new();
    let mut rng = 88_172_645_463_325_252_u64;
    let mut below = |end: u64| {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        rng % end
    };
    for _ in 0..20_000 {
        let start = below(60) as c_int;
        // SAFETY: the table is the test's own.
        unsafe {
            if below(2) == 0 {
                let end = start + 1 + below(20) as c_int;
                let expected = (start..end).find(|id| !taken.contains(id));
                let got = idr_alloc(idr, pointer(1), start, end, 0);
                assert_eq!(got, expected.unwrap_or(Errno::ENOSPC.neg()));
                taken.extend(expected);
            } else {
                let was_taken = taken.remove(&start);
                assert_eq!(!idr_remove(idr, start as c_ulong).is_null(), was_taken);
            }
        }
    }
    // SAFETY: the table is the test's own.
    unsafe {
        idr_destroy(idr);
        assert_eq!(idr_alloc(idr, pointer(1), c_int::MAX, 0, 0), c_int::MAX);
        assert_eq!(idr_alloc(idr, pointer(1), c_int::MAX, 0, 0), Errno::ENOSPC.neg());
        idr_destroy(idr);
    }
}
