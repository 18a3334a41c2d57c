// SPDX-License-Identifier: GPL-2.0-only
//! Socket options. Those that change nothing here are remembered and given back.

use std::ffi::{c_int, c_void};

use super::super::call::enter;
use super::sock::{Phase, Sock};

type Ctx = *mut c_void;

/// What Linux allows buffers to be at least and, without a privilege, at most.
const SNDBUF_MIN: usize = 4608;
const RCVBUF_MIN: usize = 2304;
const BUFFER_MAX: usize = 64 << 20;
/// An option's value at most; longer ones are none that we know.
const VALUE_MAX: usize = 256;
/// The size of `struct tcp_info` that older programs know.
const TCP_INFO_BYTES: usize = 104;

impl Sock {
    fn set_option(&mut self, level: c_int, name: c_int, value: &[u8]) -> c_int {
        let number = match value.first_chunk::<4>() {
            Some(bytes) => c_int::from_ne_bytes(*bytes),
            // Names and the like: congestion control, binding to a device.
            None if level == libc::IPPROTO_TCP && name == libc::TCP_CONGESTION => 0,
            None => return -libc::EINVAL,
        };
        // Linux doubles what it is told, for its overhead.
        let buffer = |min: usize| (number.max(0) as usize).saturating_mul(2).clamp(min, BUFFER_MAX);
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_SNDBUF | libc::SO_SNDBUFFORCE) => {
                self.sndbuf = buffer(SNDBUF_MIN);
            }
            (libc::SOL_SOCKET, libc::SO_RCVBUF | libc::SO_RCVBUFFORCE) => {
                self.rcvbuf = buffer(RCVBUF_MIN);
            }
            (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => self.low_water = number.max(1) as usize,
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => self.may_reuse = number != 0,
            (libc::SOL_SOCKET, libc::SO_LINGER) => {
                let Some((on, seconds)) = value.split_first_chunk::<4>() else {
                    return -libc::EINVAL;
                };
                self.resets_on_close = *on != [0; 4] && seconds.starts_with(&[0; 4]);
                self.options.insert((level, name), value.to_vec());
            }
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                self.user_timeout_ns = number.max(0) as u64 * 1_000_000;
            }
            (
                libc::SOL_SOCKET,
                libc::SO_ERROR
                | libc::SO_TYPE
                | libc::SO_DOMAIN
                | libc::SO_PROTOCOL
                | libc::SO_ACCEPTCONN,
            ) => return -libc::ENOPROTOOPT,
            _ => {
                self.options.insert((level, name), value.to_vec());
            }
        }
        0
    }

    fn option(&mut self, level: c_int, name: c_int) -> Vec<u8> {
        let number = match (level, name) {
            (libc::SOL_SOCKET, libc::SO_SNDBUF | libc::SO_SNDBUFFORCE) => self.sndbuf as c_int,
            (libc::SOL_SOCKET, libc::SO_RCVBUF | libc::SO_RCVBUFFORCE) => self.rcvbuf as c_int,
            (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => self.low_water as c_int,
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => c_int::from(self.may_reuse),
            (libc::SOL_SOCKET, libc::SO_ERROR) => -self.take_error(),
            (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
            (libc::SOL_SOCKET, libc::SO_DOMAIN) => self.family,
            (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_TCP,
            (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => c_int::from(self.phase == Phase::Listening),
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                (self.user_timeout_ns / 1_000_000) as c_int
            }
            (libc::IPPROTO_TCP, libc::TCP_INFO) => {
                let mut info = vec![0; TCP_INFO_BYTES];
                info[0] = self.tcp_state();
                return info;
            }
            _ => return self.options.get(&(level, name)).cloned().unwrap_or_else(|| vec![0; 4]),
        };
        number.to_ne_bytes().to_vec()
    }
}

pub(in crate::sim) unsafe extern "C" fn setsockopt(
    ctx: Ctx,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: u32,
) -> c_int {
    let (core, me) = enter(ctx);
    let len = (len as usize).min(VALUE_MAX);
    if value.is_null() || len == 0 {
        return -libc::EINVAL;
    }
    // SAFETY: the caller gives at least `len` readable bytes.
    let value = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), len) };
    let mut state = core.begin_call();
    let (ret, id) = match state.sock_of(fd) {
        Ok((id, sock)) => (sock.set_option(level, name, value), Some(id)),
        Err(error) => (error, None),
    };
    if let Some(id) = id {
        // A smaller low-water mark or a larger buffer may make it ready.
        state.sock_changed(id);
    }
    drop(core.preempt(state, me));
    ret
}

pub(in crate::sim) unsafe extern "C" fn getsockopt(
    ctx: Ctx,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut u32,
) -> c_int {
    let (core, me) = enter(ctx);
    let mut state = core.preempt(core.begin_call(), me);
    let bytes = match state.sock_of(fd) {
        Ok((_, sock)) => sock.option(level, name),
        Err(error) => return error,
    };
    // SAFETY: the caller gives `*len` writable bytes.
    unsafe {
        let count = bytes.len().min(*len as usize);
        bytes.as_ptr().copy_to_nonoverlapping(value.cast(), count);
        *len = count as u32;
    }
    0
}
