// SPDX-License-Identifier: GPL-2.0-only
//! Dumps: replies in several parts, made as the client reads.
//!
//! C header: `include/linux/netlink.h` (API of 6.12).
//! Guarantees kept: one dump at a time per client (-EBUSY); `done` is called exactly once, also when the client goes
//! or the family is unregistered; the module of the family stays loaded meanwhile; the last part ends with NLMSG_DONE
//! and the last return value.
//! Differs from Linux: a part has room for `PART_LEN` bytes, whatever the client's buffer.
//! Used by DRBD for: `status`, `show` and `events2` (state kept in `cb->args`).

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use crate::errno::{Errno, Result};
use crate::genl_client::{Client, Dump};
use crate::genl_request::{RECORD, Request, message_bytes};
use crate::kernel::Kernel;
use crate::skbuff::Skb;
use crate::{bug, netlink, sys};

/// Room of one part: the receive buffer that the stock tools begin with.
const PART_LEN: usize = 8192;

/// Starts the dump that a request asks for and makes its first part.
pub(crate) fn start(request: &Request<'_>) -> Result<()> {
    let client = request.client;
    let mut slot = client.dump.lock();
    if slot.is_some() {
        return Err(Errno::EBUSY);
    }
    let module = request.family.raw().module;
    // SAFETY: the family's own module, or NULL for code of the kernel.
    if !unsafe { crate::module::try_module_get(module) } {
        return Err(Errno::EPROTONOSUPPORT);
    }
    match prepare(request, module) {
        Ok(dump) => *slot = Some(dump),
        Err(error) => {
            // SAFETY: taken just now.
            unsafe { crate::module::module_put(module) };
            return Err(error);
        }
    }
    if part(client, &mut slot) {
        finish(client, &mut slot);
    }
    // Not an error: it tells the receive loop that the dump acknowledges itself.
    Err(Errno::EINTR)
}

fn prepare(request: &Request<'_>, module: *mut sys::module) -> Result<Box<Dump>> {
    let mut attrs = request.attributes(sys::GENL_DONT_VALIDATE_DUMP_STRICT)?;
    let info = request.info(&mut attrs);
    let skb = request.skb.as_ptr();
    // SAFETY: one more reference for the dump.
    let held = unsafe { Skb::share(skb) };
    let mut dump = Box::new(Dump {
        cb: Box::default(),
        info: Box::new(sys::genl_dumpit_info { op: *request.op, info }),
        _attrs: attrs,
        _request: held,
        // SAFETY: it is part of the request.
        message: unsafe { message_bytes(request.nlh) }.to_vec(),
        family: request.family.id,
        parallel: request.family.is_parallel(),
        module,
        last: c_int::MAX,
    });
    dump.cb.skb = skb;
    dump.cb.nlh = request.nlh;
    dump.cb.module = module;
    dump.cb.extack = request.extack;
    dump.cb.data = (&raw mut *dump.info).cast();
    // SAFETY: the operation was looked up as a dump, so this is the member of the union that was written.
    let start = unsafe { request.op.__bindgen_anon_1.__bindgen_anon_2.start };
    if let Some(start) = start {
        let cb = &raw mut *dump.cb;
        // SAFETY: the driver's own function.
        let ret = request.client.kernel.genl.serialized(dump.parallel, || unsafe { start(cb) });
        crate::errno::from_ret(ret)?;
    }
    dump.cb.extack = ptr::null_mut();
    dump.info.info.extack = ptr::null_mut();
    Ok(dump)
}

/// Makes one part and delivers it. True: that was the last.
fn part(client: &Client, slot: &mut Option<Box<Dump>>) -> bool {
    let Some(dump) = slot.as_mut() else { return false };
    let kernel = client.kernel;
    let Some(skb) = Skb::new(PART_LEN.max(dump.cb.min_dump_alloc as usize)) else {
        return false;
    };
    // SAFETY: our own buffer.
    unsafe { (*skb.as_ptr()).sk = client.sk() };
    if dump.last > 0 {
        dump.last = call_dumpit(kernel, dump, &skb);
    }
    // SAFETY: our own buffer.
    let room = unsafe { (*skb.as_ptr()).end - (*skb.as_ptr()).tail } as usize;
    if dump.last > 0 || room < netlink::HEADER + size_of::<c_int>() {
        // An overrun is remembered by the sink.
        let _ = client.sink.deliver(skb.bytes());
        return false;
    }
    netlink::put_done(&skb, client.portid, &dump.cb, dump.last);
    let _ = client.sink.deliver(skb.bytes());
    true
}

fn call_dumpit(kernel: &'static Kernel, dump: &mut Dump, skb: &Skb) -> c_int {
    // SAFETY: as in `prepare`.
    let dumpit = unsafe { dump.info.op.__bindgen_anon_1.__bindgen_anon_2.dumpit };
    let family = kernel.genl.table.lock().by_id(dump.family);
    let (Some(dumpit), Some(_family)) = (dumpit, family) else {
        return Errno::ENOENT.neg();
    };
    let mut extack = sys::netlink_ext_ack::default();
    dump.cb.extack = &raw mut extack;
    dump.info.info.extack = &raw mut extack;
    let cb = &raw mut *dump.cb;
    let ret = bug::serving(RECORD, &dump.message, || {
        // SAFETY: the driver's own function; buffer, callback and acknowledgement live through the call.
        kernel.genl.serialized(dump.parallel, || unsafe { dumpit(skb.as_ptr(), cb) })
    });
    dump.cb.extack = ptr::null_mut();
    dump.info.info.extack = ptr::null_mut();
    // A message that did not fit goes into the next part.
    match skb.bytes().len() {
        len if len > 0 && ret == Errno::EMSGSIZE.neg() => len as c_int,
        _ => ret,
    }
}

/// Ends the dump: `done` of the driver, then its module's reference.
fn finish(client: &Client, slot: &mut Option<Box<Dump>>) {
    let Some(mut dump) = slot.take() else { return };
    // SAFETY: as in `prepare`.
    if let Some(done) = unsafe { dump.info.op.__bindgen_anon_1.__bindgen_anon_2.done } {
        let cb = &raw mut *dump.cb;
        // SAFETY: the driver's own function. Its code is there: the dump holds its module, or its family is just
        // being unregistered and waits for this.
        client.kernel.genl.serialized(dump.parallel, || unsafe { done(cb) });
    }
    // SAFETY: taken in `start`.
    unsafe { crate::module::module_put(dump.module) };
}

/// Makes parts as long as the client has room for them.
pub(crate) fn pump(client: &Client) {
    loop {
        let mut slot = client.dump.lock();
        if slot.is_none() || !client.sink.has_room() {
            return;
        }
        if part(client, &mut slot) {
            finish(client, &mut slot);
        }
    }
}

/// Ends the client's dump where it stands, if it is of `family` (or of any).
pub(crate) fn abort(client: &Client, family: Option<u16>) {
    let mut slot = client.dump.lock();
    if slot.as_ref().is_some_and(|dump| family.is_none_or(|family| dump.family == family)) {
        finish(client, &mut slot);
    }
}

/// Ends every dump of a family that goes.
pub(crate) fn abort_family(kernel: &'static Kernel, family: u16) {
    let clients: Vec<Arc<Client>> = kernel.genl.clients();
    for client in clients {
        abort(&client, Some(family));
    }
}
