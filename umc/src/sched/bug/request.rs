// SPDX-License-Identifier: GPL-2.0-only
//! The request that a thread serves, so that the end of a node says what was asked of it last.

use std::cell::Cell;

use super::say;

/// Bytes that are shown.
const SHOWN_MAX: usize = 512;

/// What a request is called, and how it begins.
#[derive(Clone, Copy)]
struct Served {
    what: &'static str,
    len: usize,
    /// As it came: who serves it may write to it.
    begin: [u8; SHOWN_MAX],
}

thread_local! {
    /// What is served now; it lives on the stack below.
    static SERVED: Cell<*const Served> = const { Cell::new(std::ptr::null()) };
}

/// Puts back what was served before.
struct Before(*const Served);

impl Drop for Before {
    fn drop(&mut self) {
        SERVED.set(self.0);
    }
}

/// Serves a request: `what` it is called, and its bytes as the client sent them.
pub(crate) fn serving<R>(what: &'static str, bytes: &[u8], serve: impl FnOnce() -> R) -> R {
    let mut served = Served { what, len: bytes.len(), begin: [0; SHOWN_MAX] };
    let shown = bytes.len().min(SHOWN_MAX);
    served.begin[..shown].copy_from_slice(&bytes[..shown]);
    let _before = Before(SERVED.replace(&raw const served));
    serve()
}

/// Says what the calling thread serves; nothing when it does not.
pub(super) fn show() {
    // SAFETY: it lives until `serving` returns, which puts back what was there before.
    let Some(served) = (unsafe { SERVED.get().as_ref() }) else { return };
    let begin = &served.begin[..served.len.min(SHOWN_MAX)];
    let shown: String = begin.iter().map(|byte| format!("{byte:02x}")).collect();
    let more = if served.len > SHOWN_MAX { "…" } else { "" };
    say(&format!("It was serving {} of {} bytes: {shown}{more}", served.what, served.len));
}
