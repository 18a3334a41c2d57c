// SPDX-License-Identifier: GPL-2.0-only
//! Setting and showing parameters.

use super::*;
use crate::sys::{kparam_array, kparam_string};

fn param(ops: &'static kernel_param_ops, arg: *mut c_void) -> kernel_param {
    // SAFETY: all-zero is a valid parameter: null pointers and numbers.
    let mut param: kernel_param = unsafe { std::mem::zeroed() };
    param.ops = ops;
    param.__bindgen_anon_1.arg = arg;
    param
}

fn set(param: &kernel_param, value: &CStr) -> c_int {
    // SAFETY: operations, variable and string go together in these tests.
    unsafe { ((*param.ops).set.unwrap())(value.as_ptr(), param) }
}

fn get(param: &kernel_param) -> String {
    let mut page = vec![0xaau8; PAGE_SIZE];
    // SAFETY: operations and variable go together in these tests; the buffer is a page.
    let len = unsafe { ((*param.ops).get.unwrap())(page.as_mut_ptr().cast(), param) };
    assert_eq!(page[len as usize], 0);
    String::from_utf8(page[..len as usize].to_vec()).unwrap()
}

#[test]
fn numbers_are_parsed_as_kstrto_does() {
    let mut value = 0i32;
    let int = param(&param_ops_int, (&raw mut value).cast());
    for (text, expected) in
        [(c"12", 12), (c"-7\n", -7), (c"0x1F", 31), (c"010", 8), (c"+3", 3), (c"0", 0)]
    {
        assert_eq!(set(&int, text), 0, "{text:?}");
        assert_eq!(get(&int), format!("{expected}\n"));
    }
    for text in [c"", c" 1", c"1 ", c"1\n\n", c"abc", c"0x", c"08", c"-", c"\n"] {
        assert_eq!(set(&int, text), -libc::EINVAL, "{text:?}");
    }
    assert_eq!(set(&int, c"2147483648"), -libc::ERANGE);
    assert_eq!(set(&int, c"99999999999999999999"), -libc::ERANGE);
    let mut byte = 1u8;
    let byte_param = param(&param_ops_byte, (&raw mut byte).cast());
    assert_eq!(
        (set(&byte_param, c"256"), set(&byte_param, c"-1"), set(&byte_param, c"255")),
        (-34, -22, 0)
    );
    let mut long = 0i64;
    let long_param = param(&param_ops_long, (&raw mut long).cast());
    assert_eq!(set(&long_param, c"-9223372036854775808"), 0);
    assert_eq!(get(&long_param), "-9223372036854775808\n");
    let mut hex = 0u32;
    let hex_param = param(&param_ops_hexint, (&raw mut hex).cast());
    assert_eq!(set(&hex_param, c"0xbeef"), 0);
    assert_eq!(get(&hex_param), "0x00beef\n");
    // SAFETY: a null value is allowed, and refused.
    assert_eq!(unsafe { param_set_int(ptr::null(), &raw const int) }, -libc::EINVAL);
    // SAFETY: as `set`.
    let ret = unsafe { param_set_uint_minmax(c"5".as_ptr(), &raw const hex_param, 6, 9) };
    assert_eq!(ret, -libc::EINVAL);
}

#[test]
fn truth() {
    let mut value = false;
    let param_bool = param(&param_ops_bool, (&raw mut value).cast());
    for (text, shown) in
        [(c"1", "Y\n"), (c"n", "N\n"), (c"on\n", "Y\n"), (c"off", "N\n"), (c"True", "Y\n")]
    {
        assert_eq!(set(&param_bool, text), 0);
        assert_eq!(get(&param_bool), shown);
    }
    assert_eq!(set(&param_bool, c"2"), -libc::EINVAL);
    // SAFETY: a null value means true.
    assert_eq!(unsafe { param_set_bool(ptr::null(), &raw const param_bool) }, 0);
    let once = param(&param_ops_bool_enable_only, (&raw mut value).cast());
    assert_eq!((set(&once, c"0"), set(&once, c"1")), (-libc::EROFS, 0));
    let inverted = param(&param_ops_invbool, (&raw mut value).cast());
    assert_eq!(get(&inverted), "N\n");
    let mut int = 5;
    let bint = param(&param_ops_bint, (&raw mut int).cast());
    assert_eq!(set(&bint, c"y"), 0);
    assert_eq!(get(&bint), "1\n");
}

#[test]
fn strings() {
    let mut buffer = [0 as c_char; 8];
    let target = kparam_string { maxlen: 8, string: buffer.as_mut_ptr() };
    let string = param(&param_ops_string, ptr::from_ref(&target).cast_mut().cast());
    assert_eq!(set(&string, c"1234567"), 0);
    assert_eq!(get(&string), "1234567\n");
    assert_eq!(set(&string, c"12345678"), -libc::ENOSPC);
    assert_eq!(get(&string), "1234567\n", "unchanged");

    let mut pointer = c"initial".as_ptr().cast_mut();
    let charp = param(&param_ops_charp, (&raw mut pointer).cast());
    assert_eq!(get(&charp), "initial\n");
    assert_eq!((set(&charp, c"first"), set(&charp, c"second")), (0, 0));
    assert_eq!(get(&charp), "second\n");
    let long = std::ffi::CString::new(vec![b'x'; CHARP_MAX + 1]).unwrap();
    assert_eq!(set(&charp, &long), -libc::ENOSPC);
    // SAFETY: the address of the variable.
    unsafe { param_free_charp((&raw mut pointer).cast()) };
    assert!(pointer.is_null());
    assert_eq!(get(&charp), "(null)\n");
}

#[test]
fn arrays() {
    let (mut values, mut count) = ([1i32, 2, 3], 0u32);
    let array = kparam_array {
        max: 3,
        elemsize: 4,
        num: &raw mut count,
        ops: &raw const param_ops_int,
        elem: values.as_mut_ptr().cast(),
    };
    let param = param(&param_array_ops, ptr::from_ref(&array).cast_mut().cast());
    assert_eq!(set(&param, c"7,-8"), 0);
    // SAFETY: the counter of the array above.
    assert_eq!(unsafe { (&raw const count).read() }, 2);
    assert_eq!(get(&param), "7,-8\n");
    assert_eq!(set(&param, c"1,2,3,4"), -libc::EINVAL);
    assert_eq!(set(&param, c"1,x"), -libc::EINVAL);
}
