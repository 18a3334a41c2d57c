// SPDX-License-Identifier: GPL-2.0-only
//! TLS handshakes, which there are none of.
//!
//! C header: `include/net/handshake.h` (API of 6.12).
//! Guarantees kept: a handshake that cannot be made is refused before anything is sent, and its `ta_done` is not called;
//! a socket without TLS has no record type.
//! Differs from Linux: every handshake is refused with `-EOPNOTSUPP`, and the log says why. It would take a program that
//! is told of it by netlink, gets the socket as a descriptor of its own and sets the keys of kTLS on it.
//! Used by DRBD for: `tls yes` (9 only), and a cancel at each close of a socket.

use std::ffi::{c_int, c_uint};

use crate::errno::Errno;
use crate::kprintln;
use crate::printk::Level;
use crate::sys;

/// # Safety
/// `args` is valid.
unsafe fn refuse(args: *const sys::tls_handshake_args) -> c_int {
    // SAFETY: the caller's contract: a name is a string or null.
    let peer = unsafe { (*args).ta_peername };
    let peer = if peer.is_null() {
        "the peer".into()
    } else {
        // SAFETY: as above.
        unsafe { std::ffi::CStr::from_ptr(peer) }.to_string_lossy().into_owned()
    };
    kprintln!(
        Level::Err,
        "umc: TLS with {peer} is refused: a node has no TLS. Set tls no; to protect the connection, lead it through a tunnel of the host."
    );
    Errno::EOPNOTSUPP.neg()
}

/// Begins a handshake as a client that shows no certificate: refused.
///
/// # Safety
/// `args` is valid.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_client_hello_anon(
    args: *const sys::tls_handshake_args,
    _flags: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { refuse(args) }
}

/// Begins a handshake as a client with a certificate: refused.
///
/// # Safety
/// `args` is valid.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_client_hello_x509(
    args: *const sys::tls_handshake_args,
    _flags: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { refuse(args) }
}

/// Begins a handshake as a client with a shared key: refused.
///
/// # Safety
/// `args` is valid.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_client_hello_psk(
    args: *const sys::tls_handshake_args,
    _flags: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { refuse(args) }
}

/// Begins a handshake as a server with a certificate: refused.
///
/// # Safety
/// `args` is valid.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_server_hello_x509(
    args: *const sys::tls_handshake_args,
    _flags: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { refuse(args) }
}

/// Begins a handshake as a server with a shared key: refused.
///
/// # Safety
/// `args` is valid.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_server_hello_psk(
    args: *const sys::tls_handshake_args,
    _flags: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { refuse(args) }
}

/// Cancels a handshake that is under way; false, for there is none.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_handshake_cancel(_sk: *mut sys::sock) -> bool {
    false
}

/// The TLS record type that a control message tells; 0, which says none, for no socket is one of TLS.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_get_record_type(
    _sk: *const sys::sock,
    _msg: *const sys::cmsghdr,
) -> u8 {
    0
}

/// Reads a TLS alert out of a message that was received. Nothing is an alert here, so both stay 0.
///
/// # Safety
/// `level` and `description` are valid.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_alert_recv(
    _sk: *const sys::sock,
    _msg: *const sys::msghdr,
    level: *mut u8,
    description: *mut u8,
) {
    // SAFETY: the caller's contract.
    unsafe { (*level, *description) = (0, 0) };
}
