// SPDX-License-Identifier: GPL-2.0-only
//! Parameters that are arrays: values separated by commas.

use std::ffi::{CString, c_char, c_int, c_void};

use super::value_bytes;
use crate::errno::{Errno, Result, to_ret};
use crate::mm::PAGE_SIZE;
use crate::sys::{kernel_param, kernel_param_ops, kparam_array};

/// The parameter that stands for one element.
fn element(kp: &kernel_param, array: &kparam_array, index: usize) -> kernel_param {
    let mut element = *kp;
    element.__bindgen_anon_1.arg = array.elem.wrapping_byte_add(index * array.elemsize as usize);
    element
}

fn set(value: &[u8], kp: &kernel_param, array: &kparam_array) -> Result<()> {
    // SAFETY: the operations of the elements are static.
    let set = unsafe { (*array.ops).set }.ok_or(Errno::EPERM)?;
    let mut count = 0;
    for piece in value.split(|byte| *byte == b',') {
        if count == array.max as usize {
            return Err(Errno::EINVAL);
        }
        let piece = CString::new(piece).map_err(|_| Errno::EINVAL)?;
        let element = element(kp, array, count);
        // SAFETY: the element lies within the array, and has the type of the operations.
        let ret = unsafe { set(piece.as_ptr(), &raw const element) };
        crate::errno::from_ret(ret)?;
        count += 1;
    }
    if !array.num.is_null() {
        // SAFETY: the module's own counter.
        unsafe { array.num.write(count as u32) };
    }
    Ok(())
}

unsafe extern "C" fn param_array_set(val: *const c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: the contract of `kernel_param_ops::set`: a string or NULL, and a valid parameter that is an array.
    let (value, kp) = unsafe { (value_bytes(val), &*kp) };
    // SAFETY: as above.
    let array = unsafe { &*kp.__bindgen_anon_1.arr };
    to_ret(value.and_then(|value| set(value, kp, array)))
}

unsafe extern "C" fn param_array_get(buffer: *mut c_char, kp: *const kernel_param) -> c_int {
    // SAFETY: the contract of `kernel_param_ops::get`: a valid parameter that is an array.
    let kp = unsafe { &*kp };
    // SAFETY: as above.
    let array = unsafe { &*kp.__bindgen_anon_1.arr };
    // SAFETY: the operations of the elements are static.
    let Some(get) = (unsafe { (*array.ops).get }) else { return Errno::EPERM.neg() };
    // SAFETY: the module's own counter.
    let count = if array.num.is_null() { array.max } else { unsafe { array.num.read() } };
    let mut shown: Vec<u8> = Vec::new();
    for index in 0..count.min(array.max) as usize {
        let mut page = vec![0u8; PAGE_SIZE];
        let element = element(kp, array, index);
        // SAFETY: the element lies within the array, and `page` is a page.
        let len = unsafe { get(page.as_mut_ptr().cast(), &raw const element) };
        let Ok(len) = usize::try_from(len) else { return len };
        // The newline of one element becomes the comma before the next.
        if let Some(last) = shown.last_mut() {
            *last = b',';
        }
        shown.extend_from_slice(&page[..len]);
    }
    let len = shown.len().min(PAGE_SIZE - 1);
    // SAFETY: the contract of `get`: the buffer is a page.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len + 1) };
    buffer[..len].copy_from_slice(&shown[..len]);
    buffer[len] = 0;
    len as c_int
}

unsafe extern "C" fn param_array_free(arg: *mut c_void) {
    // SAFETY: the contract of `kernel_param_ops::free`: the array of the parameter.
    let array = unsafe { &*arg.cast::<kparam_array>() };
    // SAFETY: the operations of the elements are static.
    let Some(free) = (unsafe { (*array.ops).free }) else { return };
    // SAFETY: the module's own counter.
    let count = if array.num.is_null() { array.max } else { unsafe { array.num.read() } };
    for index in 0..count.min(array.max) as usize {
        // SAFETY: the element lies within the array.
        unsafe { free(array.elem.wrapping_byte_add(index * array.elemsize as usize)) };
    }
}

/// An array of parameters of another type.
#[allow(non_upper_case_globals)]
#[unsafe(no_mangle)]
pub static param_array_ops: kernel_param_ops = kernel_param_ops {
    flags: 0,
    set: Some(param_array_set),
    get: Some(param_array_get),
    free: Some(param_array_free),
};
