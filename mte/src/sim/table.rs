// SPDX-License-Identifier: GPL-2.0-only
//! The ops vector of a simulation.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::call::enter;
use super::net::calls;
use super::state::Core;
use super::threads::{self, Main};
use super::{callbacks, park};
use crate::ops::{API_VERSION, Ops, ThreadMain};

/// The table of `core`.
pub(super) fn table(core: &'static Core) -> Ops {
    Ops {
        struct_size: size_of::<Ops>(),
        api_version: API_VERSION,
        is_simulated: 1,
        ctx: ptr::from_ref(core).cast_mut().cast(),
        now_ns,
        realtime_ns,
        random,
        thread_start,
        thread_join: park::join,
        yield_now: park::yield_now,
        park: park::park,
        unpark: park::unpark,
        timer_arm: callbacks::timer_arm,
        timer_cancel: callbacks::timer_cancel,
        work_push: callbacks::work_push,
        fd_wait: park::fd_wait,
        fd_watch: callbacks::fd_watch,
        fd_watch_for: callbacks::fd_watch_for,
        fd_unwatch: callbacks::fd_unwatch,
        socket: calls::socket,
        bind: calls::bind,
        listen: calls::listen,
        connect: calls::connect,
        accept: calls::accept,
        getsockname: calls::getsockname,
        getpeername: calls::getpeername,
        setsockopt: calls::setsockopt,
        getsockopt: calls::getsockopt,
        sendmsg: calls::sendmsg,
        recvmsg: calls::recvmsg,
        recv_patience: calls::recv_patience,
        recvmsg_wait: calls::recvmsg_wait,
        queued: calls::queued,
        shutdown: calls::shutdown,
        close: calls::close,
    }
}

unsafe extern "C" fn now_ns(ctx: *mut c_void) -> u64 {
    let (core, me) = enter(ctx);
    let mut state = core.begin_call();
    let one_in = state.clock_preempt_one_in;
    if threads::may_preempt() && state.rng.one_in(one_in) {
        state = core.give_way(state, me);
    }
    state.now
}

unsafe extern "C" fn realtime_ns(ctx: *mut c_void) -> u64 {
    let (core, _) = enter(ctx);
    core.config.epoch_ns + core.begin_call().now
}

unsafe extern "C" fn random(ctx: *mut c_void, buf: *mut u8, len: usize) {
    let (core, _) = enter(ctx);
    if len == 0 {
        return;
    }
    // SAFETY: the caller gives `len` writable bytes; writing zeroes first makes them a slice of initialised bytes.
    let bytes = unsafe {
        ptr::write_bytes(buf, 0, len);
        std::slice::from_raw_parts_mut(buf, len)
    };
    core.begin_call().data_rng.fill(bytes);
}

unsafe extern "C" fn thread_start(
    ctx: *mut c_void,
    name: *const c_char,
    main: ThreadMain,
    arg: *mut c_void,
    id: *mut u64,
) -> c_int {
    let (core, me) = enter(ctx);
    // SAFETY: `name` is a C string that lives through the call.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    let mut state = core.begin_call();
    let host = state.task(me.id).host;
    match state.spawn(host, &name, Main::Table(main, arg)) {
        Ok(new) => {
            // SAFETY: `id` is writable (contract of the table).
            unsafe { *id = new };
            drop(core.preempt(state, me));
            0
        }
        Err((error, _)) => -error,
    }
}
