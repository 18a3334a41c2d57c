// SPDX-License-Identifier: GPL-2.0-only
//! Validation and parsing of netlink attributes.
//!
//! C header: `include/net/netlink.h` (API of 6.12).
//! Guarantees kept: the same input passes or fails with the same errno as in Linux, in all degrees of strictness.
//! Differs from Linux: lengths that old tools get wrong and Linux only warns about are accepted without the warning.
//! Used by DRBD for: its nested configuration structs (`drbd_nla_parse_nested`), and for every request it gets.

use std::ffi::{CStr, c_int, c_uint};
use std::ptr;

use crate::errno::{Errno, Result};
use crate::nla::{Attrs, HEADER, payload, type_of};
use crate::sys;

/// Nests deeper than this are refused: policies may refer to themselves.
const DEPTH_MAX: u32 = 10;

/// The last type of a policy's entries.
const TYPE_MAX: u32 = sys::__NLA_TYPE_MAX - 1;
/// `NL_VALIDATE_STRICT`: all there is.
pub(crate) const STRICT: c_uint = sys::NL_VALIDATE_TRAILING
    | sys::NL_VALIDATE_MAXTYPE
    | sys::NL_VALIDATE_UNSPEC
    | sys::NL_VALIDATE_STRICT_ATTRS
    | sys::NL_VALIDATE_NESTED;

/// Where to say what was wrong: the caller's extended acknowledgement, or nowhere.
#[derive(Clone, Copy)]
pub(crate) struct Report(*mut sys::netlink_ext_ack);

impl Report {
    /// # Safety
    /// `extack` is NULL or writable as long as the report is used.
    pub(crate) unsafe fn new(extack: *mut sys::netlink_ext_ack) -> Report {
        Report(extack)
    }

    fn bad(self, text: &'static CStr, nla: *const sys::nlattr, policy: *const sys::nla_policy) {
        if !self.0.is_null() {
            // SAFETY: contract of `new`.
            let extack = unsafe { &mut *self.0 };
            (extack._msg, extack.bad_attr, extack.policy) = (text.as_ptr(), nla, policy);
        }
    }
}

/// The exact length of a type; 0 = any.
fn exact_len(kind: u32) -> usize {
    match kind {
        sys::NLA_U8 | sys::NLA_S8 => 1,
        sys::NLA_U16 | sys::NLA_S16 | sys::NLA_BE16 => 2,
        sys::NLA_U32 | sys::NLA_S32 | sys::NLA_BE32 => 4,
        sys::NLA_U64 | sys::NLA_S64 => 8,
        _ => 0,
    }
}

/// The least length of a type.
fn min_len(kind: u32) -> usize {
    match kind {
        sys::NLA_MSECS => 8,
        sys::NLA_NESTED => HEADER,
        kind => exact_len(kind),
    }
}

/// The value of an attribute of an unsigned type; a payload that is too short counts as zero-padded.
fn unsigned(kind: u32, data: &[u8]) -> Option<u64> {
    let mut wide = [0u8; 8];
    let len = match kind {
        sys::NLA_UINT => data.len(),
        sys::NLA_MSECS => 8,
        kind => exact_len(kind),
    };
    let len = len.min(data.len()).min(8);
    wide[..len].copy_from_slice(&data[..len]);
    let value = u64::from_ne_bytes(wide);
    match kind {
        sys::NLA_U8
        | sys::NLA_U16
        | sys::NLA_U32
        | sys::NLA_U64
        | sys::NLA_UINT
        | sys::NLA_MSECS => Some(value),
        sys::NLA_BINARY => Some(data.len() as u64),
        sys::NLA_BE16 => Some(u64::from(u16::from_be(value as u16))),
        sys::NLA_BE32 => Some(u64::from(u32::from_be(value as u32))),
        _ => None,
    }
}

/// The value of an attribute of a signed type.
fn signed(kind: u32, data: &[u8]) -> Option<i64> {
    let same = match kind {
        sys::NLA_S8 => sys::NLA_U8,
        sys::NLA_S16 => sys::NLA_U16,
        sys::NLA_S32 => sys::NLA_U32,
        sys::NLA_S64 => sys::NLA_U64,
        sys::NLA_SINT => sys::NLA_UINT,
        _ => return None,
    };
    let value = unsigned(same, data)?;
    Some(match (kind, data.len()) {
        (sys::NLA_S8, _) => i64::from(value as i8),
        (sys::NLA_S16, _) => i64::from(value as i16),
        (sys::NLA_S32, _) | (sys::NLA_SINT, 4) => i64::from(value as i32),
        _ => value as i64,
    })
}

/// The limits that a policy puts on a value.
fn in_range(policy: &sys::nla_policy, value: i128) -> Result<bool> {
    // SAFETY: the validation type says which member of the union is meant.
    let (min, max) = unsafe {
        let pair = &policy.__bindgen_anon_1.__bindgen_anon_1;
        (i128::from(pair.min), i128::from(pair.max))
    };
    Ok(match u32::from(policy.validation_type) {
        sys::NLA_VALIDATE_RANGE | sys::NLA_VALIDATE_RANGE_WARN_TOO_LONG => {
            (min..=max).contains(&value)
        }
        sys::NLA_VALIDATE_MIN => value >= min,
        sys::NLA_VALIDATE_MAX => value <= max,
        sys::NLA_VALIDATE_RANGE_PTR => {
            let is_signed = matches!(
                u32::from(policy.type_),
                sys::NLA_S8 | sys::NLA_S16 | sys::NLA_S32 | sys::NLA_S64 | sys::NLA_SINT
            );
            // SAFETY: the validation type says that the union points to a range of the type's sign.
            let (min, max) = unsafe {
                if is_signed {
                    let range = &*policy.__bindgen_anon_1.range_signed;
                    (i128::from(range.min), i128::from(range.max))
                } else {
                    let range = &*policy.__bindgen_anon_1.range;
                    (i128::from(range.min), i128::from(range.max))
                }
            };
            (min..=max).contains(&value)
        }
        _ => return Err(Errno::EINVAL),
    })
}

fn check_value(
    policy: &sys::nla_policy,
    nla: *const sys::nlattr,
    data: &[u8],
    strict: c_uint,
    report: Report,
) -> Result<()> {
    let kind = u32::from(policy.type_);
    match u32::from(policy.validation_type) {
        sys::NLA_VALIDATE_NONE => Ok(()),
        sys::NLA_VALIDATE_MASK => {
            // SAFETY: the validation type says that the union is a mask.
            let mask = unsafe { policy.__bindgen_anon_1.mask };
            let value = unsigned(kind, data).ok_or(Errno::EINVAL)?;
            if value & !u64::from(mask) != 0 {
                report.bad(c"reserved bit set", nla, ptr::null());
                return Err(Errno::EINVAL);
            }
            Ok(())
        }
        sys::NLA_VALIDATE_FUNCTION => {
            // SAFETY: the validation type says that the union is a function.
            match unsafe { policy.__bindgen_anon_1.validate } {
                // SAFETY: the driver's own function; the attribute is whole.
                Some(validate) => match unsafe { validate(nla, report.0) } {
                    0 => Ok(()),
                    error => Err(Errno::new(error)),
                },
                None => Ok(()),
            }
        }
        validation => {
            let value = match unsigned(kind, data) {
                Some(value) => i128::from(value),
                None => i128::from(signed(kind, data).ok_or(Errno::EINVAL)?),
            };
            if in_range(policy, value)? {
                return Ok(());
            }
            if validation == sys::NLA_VALIDATE_RANGE_WARN_TOO_LONG && kind == sys::NLA_BINARY {
                // SAFETY: as in `in_range`.
                let max = unsafe { policy.__bindgen_anon_1.__bindgen_anon_1.max };
                if value > i128::from(max) {
                    let refused = strict & sys::NL_VALIDATE_STRICT_ATTRS != 0;
                    return if refused { Err(Errno::EINVAL) } else { Ok(()) };
                }
            }
            report.bad(c"value out of range", nla, policy);
            Err(Errno::ERANGE)
        }
    }
}

/// A bit field must select only known bits, and set only selected ones.
fn check_bitfield(policy: &sys::nla_policy, data: &[u8]) -> Result<()> {
    let word = |at: usize| {
        data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes)
    };
    let (Some(value), Some(selector), 8) = (word(0), word(4), data.len()) else {
        return Err(Errno::ERANGE);
    };
    // SAFETY: the type says that the union is the mask of known bits.
    let known = unsafe { policy.__bindgen_anon_1.bitfield32_valid };
    let fine =
        known != 0 && selector & !known == 0 && value & !known == 0 && value & !selector == 0;
    if fine { Ok(()) } else { Err(Errno::EINVAL) }
}

fn check_text(policy: &sys::nla_policy, data: &[u8], terminated: bool) -> Result<()> {
    let most = usize::from(policy.len);
    if terminated {
        let looked = if most > 0 { data.len().min(most + 1) } else { data.len() };
        if !data[..looked].contains(&0) {
            return Err(Errno::EINVAL);
        }
    }
    let text = data.strip_suffix(b"\0").unwrap_or(data);
    if data.is_empty() || (most > 0 && text.len() > most) { Err(Errno::ERANGE) } else { Ok(()) }
}

/// The nest of `nla`, by the policy for its inside.
fn check_nest(
    policy: &sys::nla_policy,
    data: &[u8],
    validate: c_uint,
    report: Report,
    depth: u32,
) -> Result<()> {
    if data.is_empty() {
        return Ok(());
    }
    if data.len() < HEADER {
        return Err(Errno::ERANGE);
    }
    // SAFETY: the type says that the union is the inner policy or NULL.
    let inner = unsafe { policy.__bindgen_anon_1.nested_policy };
    if inner.is_null() {
        return Ok(());
    }
    let most = c_int::from(policy.len);
    let head = data.as_ptr().cast();
    if u32::from(policy.type_) == sys::NLA_NESTED {
        // SAFETY: the slice is the stream; the inner policy has `len + 1` entries by contract of the policy.
        return unsafe {
            walk(
                head,
                data.len() as c_int,
                most,
                inner,
                validate,
                report,
                ptr::null_mut(),
                depth + 1,
            )
        };
    }
    // SAFETY: the slice is the stream.
    for entry in unsafe { Attrs::new(head, data.len() as c_int) } {
        // SAFETY: the iterator gives whole attributes.
        let nest = unsafe { payload(entry) };
        if nest.is_empty() {
            continue;
        }
        if nest.len() < HEADER {
            return Err(Errno::ERANGE);
        }
        // SAFETY: the payload is the stream, and the inner policy has `len + 1` entries by contract
        // of the policy.
        unsafe {
            walk(
                nest.as_ptr().cast(),
                nest.len() as c_int,
                most,
                inner,
                validate,
                report,
                ptr::null_mut(),
                depth + 1,
            )
        }?;
    }
    Ok(())
}

/// Checks one attribute against the entry of its type.
///
/// # Safety
/// `nla` is whole, its type lies in `1..=maxtype`, and `policy` has `maxtype + 1` entries.
unsafe fn check(
    nla: *const sys::nlattr,
    policy: *const sys::nla_policy,
    mut validate: c_uint,
    report: Report,
    depth: u32,
) -> Result<()> {
    // SAFETY: `nla` is whole.
    let kind = unsafe { type_of(nla) };
    // SAFETY: entry 0 of a policy holds the first strict type.
    let strict_from = unsafe { (*policy).__bindgen_anon_1.strict_start_type };
    if strict_from != 0 && kind >= strict_from {
        validate |= STRICT;
    }
    // SAFETY: the type lies in `1..=maxtype`, `policy` has `maxtype + 1` entries, and `nla` is
    // whole.
    let (entry, data) = unsafe { (&*policy.add(usize::from(kind)), payload(nla)) };
    let expected = u32::from(entry.type_);
    assert!(expected <= TYPE_MAX, "attribute type {expected} in a netlink policy");
    let exact = exact_len(expected);
    if exact != 0 && data.len() != exact && validate & sys::NL_VALIDATE_STRICT_ATTRS != 0 {
        report.bad(c"invalid attribute length", nla, entry);
        return Err(Errno::EINVAL);
    }
    if validate & sys::NL_VALIDATE_NESTED != 0 {
        let nest = matches!(expected, sys::NLA_NESTED | sys::NLA_NESTED_ARRAY);
        // SAFETY: `nla` is whole.
        let flagged = u32::from(unsafe { (*nla).nla_type }) & sys::NLA_F_NESTED != 0;
        if nest != flagged && expected != sys::NLA_UNSPEC {
            report.bad(c"nesting flag missing or not expected", nla, entry);
            return Err(Errno::EINVAL);
        }
    }
    let result = match expected {
        sys::NLA_REJECT => Err(Errno::EINVAL),
        sys::NLA_FLAG if !data.is_empty() => Err(Errno::ERANGE),
        sys::NLA_FLAG => Ok(()),
        sys::NLA_SINT | sys::NLA_UINT if !matches!(data.len(), 4 | 8) => Err(Errno::EINVAL),
        sys::NLA_SINT | sys::NLA_UINT => Ok(()),
        sys::NLA_BITFIELD32 => check_bitfield(entry, data),
        sys::NLA_NUL_STRING => check_text(entry, data, true),
        sys::NLA_STRING => check_text(entry, data, false),
        sys::NLA_BINARY if entry.len != 0 && data.len() > usize::from(entry.len) => {
            Err(Errno::ERANGE)
        }
        sys::NLA_BINARY => Ok(()),
        sys::NLA_NESTED | sys::NLA_NESTED_ARRAY => {
            return check_nest(entry, data, validate, report, depth)
                .and_then(|()| check_value_unless_nest(entry));
        }
        sys::NLA_UNSPEC if validate & sys::NL_VALIDATE_UNSPEC != 0 => Err(Errno::EINVAL),
        sys::NLA_UNSPEC if data.len() < usize::from(entry.len) => Err(Errno::ERANGE),
        sys::NLA_UNSPEC => Ok(()),
        _ => {
            let least = if entry.len != 0 { usize::from(entry.len) } else { min_len(expected) };
            if data.len() < least { Err(Errno::ERANGE) } else { Ok(()) }
        }
    };
    if let Err(error) = result {
        report.bad(c"attribute failed policy validation", nla, entry);
        return Err(error);
    }
    check_value(entry, nla, data, validate, report)
}

/// A nest's union is its inner policy, so no value check may be asked for beside it.
fn check_value_unless_nest(policy: &sys::nla_policy) -> Result<()> {
    if u32::from(policy.validation_type) == sys::NLA_VALIDATE_NONE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

/// Validates a stream, and fills `tb` unless it is NULL.
///
/// # Safety
/// `head` has `len` readable bytes; `policy` is NULL or has `maxtype + 1` entries; so has `tb`.
#[allow(clippy::too_many_arguments)]
unsafe fn walk(
    head: *const sys::nlattr,
    len: c_int,
    maxtype: c_int,
    policy: *const sys::nla_policy,
    validate: c_uint,
    report: Report,
    tb: *mut *mut sys::nlattr,
    depth: u32,
) -> Result<()> {
    if depth >= DEPTH_MAX {
        report.bad(c"attributes are nested too deeply", ptr::null(), ptr::null());
        return Err(Errno::EINVAL);
    }
    if !tb.is_null() {
        // SAFETY: `tb` has `maxtype + 1` entries.
        unsafe { ptr::write_bytes(tb, 0, maxtype.max(0) as usize + 1) };
    }
    // SAFETY: `head` has `len` readable bytes.
    let mut attrs = unsafe { Attrs::new(head, len) };
    for nla in attrs.by_ref() {
        // SAFETY: the iterator gives whole attributes.
        let kind = c_int::from(unsafe { type_of(nla) });
        if kind == 0 || kind > maxtype {
            if validate & sys::NL_VALIDATE_MAXTYPE != 0 {
                report.bad(c"unknown attribute type", nla, ptr::null());
                return Err(Errno::EINVAL);
            }
            continue;
        }
        if !policy.is_null() {
            // SAFETY: the type was just checked; the rest by the caller's contract.
            unsafe { check(nla, policy, validate, report, depth) }?;
        }
        if !tb.is_null() {
            // SAFETY: the type was just checked.
            unsafe { tb.add(kind as usize).write(nla.cast_mut()) };
        }
    }
    if attrs.rest() > 0 && validate & sys::NL_VALIDATE_TRAILING != 0 {
        report.bad(c"bytes left over behind the attributes", ptr::null(), ptr::null());
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Validates a stream and fills `tb`, for Rust code.
///
/// # Safety
/// As for [`__nla_parse`].
pub(crate) unsafe fn parse(
    tb: &mut [*mut sys::nlattr],
    head: *const sys::nlattr,
    len: c_int,
    policy: *const sys::nla_policy,
    validate: c_uint,
    report: Report,
) -> Result<()> {
    let maxtype = tb.len() as c_int - 1;
    // SAFETY: the caller's contract; the slice has `maxtype + 1` entries.
    unsafe { walk(head, len, maxtype, policy, validate, report, tb.as_mut_ptr(), 0) }
}

/// Validates a stream: 0, or what Linux would say.
///
/// # Safety
/// `head` has `len` readable bytes; `policy` is NULL or has `maxtype + 1` entries; `extack` is NULL or writable.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_validate(
    head: *const sys::nlattr,
    len: c_int,
    maxtype: c_int,
    policy: *const sys::nla_policy,
    validate: c_uint,
    extack: *mut sys::netlink_ext_ack,
) -> c_int {
    // SAFETY: `head` has `len` readable bytes; `policy` is NULL or has `maxtype + 1` entries;
    // `extack` is NULL or writable.
    crate::errno::to_ret(unsafe {
        walk(head, len, maxtype, policy, validate, Report::new(extack), ptr::null_mut(), 0)
    })
}

/// Validates a stream and enters each attribute into `tb` by its type: 0, or what Linux would say.
///
/// # Safety
/// As for [`__nla_validate`]; `tb` has `maxtype + 1` entries.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nla_parse(
    tb: *mut *mut sys::nlattr,
    maxtype: c_int,
    head: *const sys::nlattr,
    len: c_int,
    policy: *const sys::nla_policy,
    validate: c_uint,
    extack: *mut sys::netlink_ext_ack,
) -> c_int {
    // SAFETY: `head` has `len` readable bytes; `policy` is NULL or has `maxtype + 1` entries, and
    // `tb` has as many; `extack` is NULL or writable.
    crate::errno::to_ret(unsafe {
        walk(head, len, maxtype, policy, validate, Report::new(extack), tb, 0)
    })
}

/// Bytes that one attribute of each entry would take.
///
/// # Safety
/// `p` has `n` entries.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nla_policy_len(p: *const sys::nla_policy, n: c_int) -> c_int {
    // SAFETY: the caller's contract.
    let entries = unsafe { std::slice::from_raw_parts(p, usize::try_from(n).unwrap_or(0)) };
    let len = |entry: &sys::nla_policy| match usize::from(entry.len) {
        0 => min_len(u32::from(entry.type_)),
        len => len,
    };
    entries
        .iter()
        .map(len)
        .filter(|len| *len > 0)
        .map(|len| crate::nla::align(HEADER + len) as c_int)
        .sum()
}
