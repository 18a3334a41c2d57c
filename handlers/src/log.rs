// SPDX-License-Identifier: GPL-2.0-only
//! What handlers log.
//!
//! A message about a device goes to the log of the node that owns it; a message about none goes to `tracing`. While a
//! disk is opened its error messages are also kept, because an open returns just a number: they become the cause that
//! the user is told.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int};

use umc::printk::Level;

use crate::abi;
use crate::device::Device;

/// Error messages kept for one operation.
const KEPT_MAX: usize = 4;

/// Levels of syslog, as the glue passes them.
const ERROR: c_int = Level::Err as c_int;
const WARNING: c_int = Level::Warning as c_int;
const INFO: c_int = Level::Info as c_int;
const DEBUG: c_int = Level::Debug as c_int;

thread_local! {
    static KEPT: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    /// The same in short, for the end of the process, when the other one is gone.
    static KEEPING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` and returns with its result the error messages a handler logged meanwhile on this thread.
pub(crate) fn keeping_errors<R>(f: impl FnOnce() -> R) -> (R, String) {
    KEPT.with_borrow_mut(|kept| *kept = Some(Vec::new()));
    KEEPING.set(true);
    let result = f();
    KEEPING.set(false);
    let kept = KEPT.with_borrow_mut(Option::take).unwrap_or_default();
    (result, kept.join("; "))
}

/// Does a handler open a disk on this thread?
pub(crate) fn is_keeping() -> bool {
    KEEPING.get()
}

fn keep(text: &str) {
    KEPT.with_borrow_mut(|kept| {
        if let Some(kept) = kept
            && kept.len() < KEPT_MAX
            && kept.last().is_none_or(|last| last != text)
        {
            kept.push(text.to_owned());
        }
    });
}

/// An error message of the host about a handler that is being loaded.
pub(crate) fn refuse(text: &str) {
    keep(text);
    tracing::error!(target: "handlers", "{text}");
}

/// Is a message of this level worth formatting?
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub extern "C" fn handlers_log_wanted(level: c_int) -> bool {
    match level {
        ..=INFO => true,
        DEBUG => tracing::enabled!(target: "handlers", tracing::Level::DEBUG),
        _ => tracing::enabled!(target: "handlers", tracing::Level::TRACE),
    }
}

/// Takes a formatted message.
///
/// # Safety
/// `dev` is null or a device of this host, `func` null or a string, `text` points to `len` bytes.
///
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn handlers_log(
    dev: *mut abi::Device,
    level: c_int,
    func: *const c_char,
    line: c_int,
    text: *const c_char,
    len: usize,
) {
    // SAFETY: the caller's contract.
    let text = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end();
    if level <= ERROR {
        keep(text);
    }
    if level > INFO {
        let func = if func.is_null() {
            "?".into()
        } else {
            // SAFETY: `func` is not null here, so it is a string.
            unsafe { CStr::from_ptr(func) }.to_string_lossy()
        };
        if level == DEBUG {
            tracing::debug!(target: "handlers", "{func}:{line}: {text}");
        } else {
            tracing::trace!(target: "handlers", "{func}:{line}: {text}");
        }
        return;
    }
    // SAFETY: `dev` is null or a device of this host.
    match unsafe { Device::from_abi(dev) } {
        Some(device) => {
            let level = Level::from_number(level.max(0) as u32);
            device.log(level.unwrap_or(Level::DEFAULT), text);
        }
        None if level <= ERROR => tracing::error!(target: "handlers", "{text}"),
        None if level == WARNING => tracing::warn!(target: "handlers", "{text}"),
        None => tracing::info!(target: "handlers", "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn tcmu_err_message(
            dev: *mut abi::Device,
            func: *const c_char,
            line: c_int,
            fmt: *const c_char,
            ...
        );
    }

    #[test]
    fn errors_are_kept() {
        let ((), kept) = keeping_errors(|| {
            for number in [7, 7, 8] {
                // SAFETY: the format fits its arguments.
                unsafe {
                    let fmt = c"cannot open %s: %d\n".as_ptr();
                    tcmu_err_message(
                        std::ptr::null_mut(),
                        c"f".as_ptr(),
                        1,
                        fmt,
                        c"x".as_ptr(),
                        number,
                    )
                };
            }
        });
        assert_eq!(kept, "cannot open x: 7; cannot open x: 8");
        assert_eq!(keeping_errors(|| ()).1, "");
    }
}
