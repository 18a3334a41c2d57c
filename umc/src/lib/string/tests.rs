// SPDX-License-Identifier: GPL-2.0-only
use std::ffi::{CString, c_long, c_longlong, c_uint};

use super::*;

unsafe extern "C" {
    fn umc_snprintf(buf: *mut c_char, size: usize, fmt: *const c_char, ...) -> c_int;
    fn umc_scnprintf(buf: *mut c_char, size: usize, fmt: *const c_char, ...) -> c_int;
    fn kasprintf(gfp: c_uint, fmt: *const c_char, ...) -> *mut c_char;
}

/// What a format gives; the length must be that of the text.
macro_rules! printed {
    ($fmt:expr $(, $arg:expr)*) => {{
        let fmt = CString::new($fmt).expect("no zero");
        let mut buf = [0 as c_char; 256];
        // SAFETY: the buffer's size is given; each line of the table passes what its format says.
        let len = unsafe { umc_snprintf(buf.as_mut_ptr(), buf.len(), fmt.as_ptr() $(, $arg)*) };
        // SAFETY: the text is terminated.
        let text = unsafe { lossy(buf.as_ptr()) }.into_owned();
        assert_eq!(len as usize, text.len());
        text
    }};
}

#[test]
fn numbers() {
    assert_eq!(printed!("%d %u %i", -5, 5_u32, 0), "-5 5 0");
    assert_eq!(
        printed!("[%5d][%-5d][%05d][%+d][% d]", 42, 42, 42, 42, 42),
        "[   42][42   ][00042][+42][ 42]"
    );
    assert_eq!(
        printed!("%x %X %#x %#X %#o %o", 255, 255, 255, 255, 8, 8),
        "ff FF 0xff 0XFF 010 10"
    );
    assert_eq!(printed!("%#x", 0), "0x0");
    assert_eq!(printed!("%08x %.3d %8.3d", 0xbeef, 7, 7), "0000beef 007      007");
    assert_eq!(
        printed!("%ld %lu", c_long::MIN, u64::MAX),
        "-9223372036854775808 18446744073709551615"
    );
    assert_eq!(
        printed!("%lld %llx", c_longlong::MAX, u64::MAX),
        "9223372036854775807 ffffffffffffffff"
    );
    assert_eq!(printed!("%zu %zd %td", 7_usize, -7_isize, -1_isize), "7 -7 -1");
    assert_eq!(printed!("%hhd %hhu %hd %hu", 255, 256 + 7, 65535, 65536 + 9), "-1 7 -1 9");
    assert_eq!(printed!("%*d|%-*d|%.*d", 4, 1, 4, 1, 3, 1), "   1|1   |001");
    assert_eq!(printed!("%*d|", -4, 1), "1   |");
    assert_eq!(printed!("100%%"), "100%");
    assert_eq!(printed!("%llu.%02u", 12_u64, 3_u32), "12.03");
}

#[test]
fn strings() {
    let s = c"drbd".as_ptr();
    assert_eq!(printed!("%s|%6s|%-6s|%.2s|%.*s", s, s, s, s, 3, s), "drbd|  drbd|drbd  |dr|drb");
    assert_eq!(printed!("%s", ptr::null::<c_char>()), "(null)");
    assert_eq!(printed!("%s", -5_isize), "(efault)");
    assert_eq!(printed!("%c%c|%3c|%-3c|", 65, 66, 67, 68), "AB|  C|D  |");
    assert_eq!(printed!("a %f b"), "a %f b");
    assert_eq!(printed!("100%"), "100%");
}

#[test]
fn pointers() {
    let address = ptr::without_provenance::<c_void>(0xdead_beef);
    assert_eq!(
        printed!("%p|%px|%pK", address, address, address),
        ["00000000deadbeef"; 3].join("|")
    );
    assert_eq!(printed!("%p", ptr::null::<c_void>()), "0000000000000000");
    assert_eq!(printed!("%pI4:%u", [192_u8, 168, 0, 1].as_ptr(), 7788), "192.168.0.1:7788");
    assert_eq!(printed!("%pI4", ptr::null::<u8>()), "(null)");
    assert_eq!(printed!("[%16pI4]", [10_u8, 0, 0, 1].as_ptr()), "[        10.0.0.1]");
    assert_eq!(printed!("%pe %pe", -28_isize, -5_isize), "-ENOSPC -EIO");
    assert_eq!(
        printed!("%*ph|%*phC", 3, [1_u8, 2, 3].as_ptr(), 2, [4_u8, 5].as_ptr()),
        "01 02 03|04:05"
    );
    assert_eq!(printed!("%*pb|%*pbl", 12, &raw const MAP, 12, &raw const MAP), "00f|0-3");
    let name = printed!("%ps", pointers as *const c_void);
    assert!(name.ends_with("pointers"), "{name}");
    static MAP: u64 = 0xf;
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut buf = [b'x' as c_char; 8];
    // SAFETY: the size is that of the buffer, or less.
    unsafe {
        assert_eq!(umc_snprintf(buf.as_mut_ptr(), 4, c"%s".as_ptr(), c"abcdef".as_ptr()), 6);
        assert_eq!(lossy(buf.as_ptr()), "abc");
        assert_eq!(buf[4], b'x' as c_char);
        assert_eq!(umc_scnprintf(buf.as_mut_ptr(), 4, c"%s".as_ptr(), c"abcdef".as_ptr()), 3);
        assert_eq!(umc_scnprintf(ptr::null_mut(), 0, c"%d".as_ptr(), 7), 0);
        assert_eq!(
            umc_snprintf(ptr::null_mut(), 0, c"%pI4 %5d".as_ptr(), [1_u8, 2, 3, 4].as_ptr(), 7),
            13
        );
        let text = kasprintf(crate::mm::gfp::KERNEL, c"%s-%d".as_ptr(), c"work".as_ptr(), 3);
        assert_eq!(lossy(text), "work-3");
        crate::slab::kfree(text.cast());
    }
}

#[test]
fn copies_are_terminated() {
    let mut buf = [b'x' as c_char; 8];
    // SAFETY: the sizes are those of the buffer, or less.
    unsafe {
        assert_eq!(sized_strscpy(buf.as_mut_ptr(), c"abc".as_ptr(), 8), 3);
        assert_eq!(sized_strscpy(buf.as_mut_ptr(), c"abcdef".as_ptr(), 4), -7);
        assert_eq!(lossy(buf.as_ptr()), "abc");
        assert_eq!(sized_strscpy(buf.as_mut_ptr(), c"a".as_ptr(), 0), -7);
        assert_eq!(umc_strscpy_pad(buf.as_mut_ptr(), c"a".as_ptr(), 8), 1);
        assert_eq!(buf[1..], [0; 7]);
        assert_eq!(umc_strlcat(buf.as_mut_ptr(), c"bcdefghijk".as_ptr(), 8), 11);
        assert_eq!(lossy(buf.as_ptr()), "abcdefg");
    }
}

#[test]
fn searches() {
    let s = c"  a,b  ".as_ptr();
    // SAFETY: literals.
    unsafe {
        assert_eq!(string(skip_spaces(s)), b"a,b  ");
        assert_eq!(string(strnchr(s, 4, b','.into())), b",b  ");
        assert!(strnchr(s, 3, b','.into()).is_null());
        let end = strnchr(s, 64, 0);
        assert_eq!((end.cast_const(), strnchrnul(s, 64, 0)), (s.add(string(s).len()), end));
        assert!(strnchr(s, string(s).len(), 0).is_null(), "the zero is behind the last character");
        assert_eq!(string(strnstr(s, c"b ".as_ptr(), 7)), b"b  ");
        let words = [c"one".as_ptr(), c"two".as_ptr(), ptr::null()];
        assert_eq!(match_string(words.as_ptr(), usize::MAX, c"two".as_ptr()), 1);
        assert_eq!(__sysfs_match_string(words.as_ptr(), 2, c"two\n".as_ptr()), 1);
        assert_eq!(__sysfs_match_string(words.as_ptr(), 2, c"six\n".as_ptr()), -22);
        assert!(memchr_inv([7_u8; 9].as_ptr().cast(), 7, 9).is_null());
        let mut text = *b" x y \0";
        assert_eq!(string(strim(text.as_mut_ptr().cast())), b"x y");
    }
}
