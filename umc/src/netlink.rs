// SPDX-License-Identifier: GPL-2.0-only
//! Netlink messages: headers, acknowledgements, and their way to clients.
//!
//! C header: `include/linux/netlink.h` (API of 6.12).
//! Guarantees kept: several messages in one datagram are handled in order; an error carries the whole request back;
//! sending never blocks, so it is allowed in any context.
//! Differs from Linux: what is no whole message is answered with -EINVAL, where Linux drops it without a word. A full
//! client is -EAGAIN also for a blocking unicast. No extended acknowledgements are sent: no client can ask for them.
//! Used by DRBD for: replies, notifications, and the acknowledgements around them.

pub mod genetlink;
pub(crate) mod genl_client;
pub mod genl_ctrl;
pub mod genl_family;
pub(crate) mod genl_request;
pub mod netlink_dump;
pub mod nla;
pub mod nla_policy;

use std::ffi::{c_int, c_uint, c_void};
use std::mem::offset_of;
use std::ptr;

use crate::errno::{Errno, Result};
use crate::genl_client::Client;
use crate::kernel::Kernel;
use crate::nla::align;
use crate::sched::Creds;
use crate::skbuff::Skb;
use crate::sys;

/// Bytes of a message's header.
pub(crate) const HEADER: usize = size_of::<sys::nlmsghdr>();
/// Who a client's group is does not come with its credentials.
const NOBODY: u32 = 65534;

const _: () = assert!(size_of::<sys::netlink_skb_parms>() <= 48, "NETLINK_CB fits in sk_buff.cb");
const _: () = assert!(offset_of!(sys::sk_buff, cb) % 8 == 0, "NETLINK_CB is aligned");

/// `NETLINK_CB`.
///
/// # Safety
/// `skb` is live, and nobody else uses its control block while the result is used.
unsafe fn control<'a>(skb: *const sys::sk_buff) -> &'a mut sys::netlink_skb_parms {
    // SAFETY: size and alignment are asserted above; all-zero is valid.
    unsafe { &mut *(&raw const (*skb).cb).cast_mut().cast() }
}

/// Writes the sender of a request into its buffer.
pub(crate) fn stamp(skb: *mut sys::sk_buff, client: &Client, creds: &Creds) {
    // SAFETY: the buffer is the caller's own.
    unsafe { (*skb).sk = client.kernel.genl.genl_sock() };
    // SAFETY: as above.
    let control = unsafe { control(skb) };
    control.creds = sys::scm_creds { pid: creds.pid as u32, uid: creds.uid, gid: NOBODY };
    control.portid = client.portid;
    control.sk = client.sk();
}

/// Calls `handle` for each request in the buffer, and acknowledges as asked, or with its error. What is no message is
/// refused, with all that follows it.
pub(crate) fn for_each_request(
    skb: &Skb,
    mut handle: impl FnMut(*mut sys::nlmsghdr, *mut sys::netlink_ext_ack) -> Result<()>,
) {
    let mut first = true;
    // Less than a header behind a message is padding.
    while first || skb.bytes().len() >= HEADER {
        let nlh = skb.bytes().as_ptr().cast::<sys::nlmsghdr>().cast_mut();
        let header = header_of(skb.bytes());
        let len = header.nlmsg_len as usize;
        if len < HEADER || len > skb.bytes().len() {
            return refuse(skb, Errno::EINVAL);
        }
        first = false;
        let flags = u32::from(header.nlmsg_flags);
        let is_request =
            flags & sys::NLM_F_REQUEST != 0 && u32::from(header.nlmsg_type) >= sys::NLMSG_MIN_TYPE;
        let mut extack = sys::netlink_ext_ack::default();
        let result = if is_request { handle(nlh, &raw mut extack) } else { Ok(()) };
        match result {
            // Whoever returned this answers by other means.
            Err(Errno::EINTR) => {}
            Err(error) => acknowledge(skb.as_ptr(), nlh, error.neg()),
            Ok(()) if flags & sys::NLM_F_ACK != 0 => acknowledge(skb.as_ptr(), nlh, 0),
            Ok(()) => {}
        }
        let step = align(len).min(skb.bytes().len());
        // SAFETY: as many bytes are there.
        unsafe { crate::skbuff::skb_pull(skb.as_ptr(), step as c_uint) };
    }
}

/// The header that the bytes begin with; what is missing of it is zero.
fn header_of(bytes: &[u8]) -> sys::nlmsghdr {
    let mut header = sys::nlmsghdr::default();
    // SAFETY: as many bytes are there, and any bytes are a header.
    unsafe {
        let len = bytes.len().min(HEADER);
        ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut header).cast::<u8>(), len);
    }
    header
}

/// Answers a datagram, or the rest of one, that is not looked at further than its first header.
pub(crate) fn refuse(skb: &Skb, error: Errno) {
    answer(skb.as_ptr(), &header_of(skb.bytes()), error.neg(), &[]);
}

/// Sends the NLMSG_ERROR that answers the message `nlh` of `request`.
fn acknowledge(request: *const sys::sk_buff, nlh: *const sys::nlmsghdr, error: c_int) {
    // SAFETY: the receive loop checked the header.
    let header = unsafe { &*nlh };
    let payload = match error {
        0 => &[][..],
        // SAFETY: the header's length, which was checked too, counts the whole message.
        _ => unsafe {
            let start = nlh.cast::<u8>().add(HEADER);
            std::slice::from_raw_parts(start, header.nlmsg_len as usize - HEADER)
        },
    };
    answer(request, header, error, payload);
}

/// Sends an NLMSG_ERROR with a request's header, and as much of the rest as is given.
fn answer(request: *const sys::sk_buff, header: &sys::nlmsghdr, error: c_int, payload: &[u8]) {
    // SAFETY: the request is live.
    let portid = unsafe { control(request) }.portid;
    let len = align(HEADER + size_of::<sys::nlmsgerr>() + payload.len());
    let Some(reply) = Skb::new(len) else { return };
    let is_whole = header.nlmsg_len as usize == HEADER + payload.len();
    let flags = if error != 0 && is_whole { 0 } else { sys::NLM_F_CAPPED };
    let start = put_header(&reply, portid, header.nlmsg_seq, sys::NLMSG_ERROR, len, flags);
    // SAFETY: `len` bytes were just put at `start`.
    unsafe {
        let body = start.add(HEADER);
        body.cast::<c_int>().write(error);
        let copied = body.add(size_of::<c_int>());
        copied.cast::<sys::nlmsghdr>().write(*header);
        ptr::copy_nonoverlapping(payload.as_ptr(), copied.add(HEADER), payload.len());
    }
    let _ = deliver(Kernel::current(), reply.bytes(), portid);
}

/// Puts a whole message of `len` bytes, of which the header is written here.
fn put_header(skb: &Skb, portid: u32, seq: u32, kind: u32, len: usize, flags: u32) -> *mut u8 {
    // SAFETY: the callers made the room.
    let start = unsafe { crate::skbuff::skb_put(skb.as_ptr(), len as c_uint) }.cast::<u8>();
    let header = sys::nlmsghdr {
        nlmsg_len: len as u32,
        nlmsg_type: kind as u16,
        nlmsg_flags: flags as u16,
        nlmsg_seq: seq,
        nlmsg_pid: portid,
    };
    // SAFETY: as above; messages are aligned to four bytes.
    unsafe { start.cast::<sys::nlmsghdr>().write(header) };
    start
}

/// Ends a dump's last part.
pub(crate) fn put_done(skb: &Skb, portid: u32, cb: &sys::netlink_callback, value: c_int) {
    let flags = sys::NLM_F_MULTI | u32::from(cb.answer_flags);
    let interrupted = cb.prev_seq != 0 && cb.prev_seq != cb.seq;
    let flags = if interrupted { flags | sys::NLM_F_DUMP_INTR } else { flags };
    // SAFETY: the request lives as long as its dump.
    let seq = unsafe { (*cb.nlh).nlmsg_seq };
    let start = put_header(skb, portid, seq, sys::NLMSG_DONE, HEADER + size_of::<c_int>(), flags);
    // SAFETY: the value's room was just put.
    unsafe { start.add(HEADER).cast::<c_int>().write(value) };
}

/// Gives a datagram to one client.
fn deliver(kernel: &'static Kernel, message: &[u8], portid: u32) -> Result<()> {
    let client = kernel.genl.client(portid).ok_or(Errno::ECONNREFUSED)?;
    client.sink.deliver(message).map_err(|_| Errno::EAGAIN)
}

/// Gives a datagram to the members of a group that `wanted` lets through, except one.
pub(crate) fn multicast(
    kernel: &'static Kernel,
    message: &[u8],
    except: u32,
    group: u32,
    wanted: impl Fn(&Client) -> bool,
) -> Result<()> {
    let mut result = Err(Errno::ESRCH);
    for client in kernel.genl.clients() {
        if client.portid != except
            && client.is_member(group)
            && wanted(&client)
            // A member that is full misses it and is told so by its sink; the others get it all the same.
            && client.sink.deliver(message).is_ok()
        {
            result = Ok(());
        }
    }
    result
}

/// Appends a message's header and room for its payload. The room must be there.
///
/// # Safety
/// `skb` is live and the caller's.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __nlmsg_put(
    skb: *mut sys::sk_buff,
    portid: u32,
    seq: u32,
    kind: c_int,
    len: c_int,
    flags: c_int,
) -> *mut sys::nlmsghdr {
    let size = HEADER + len.max(0) as usize;
    // SAFETY: the caller's contract.
    let nlh = unsafe { crate::skbuff::skb_put(skb, align(size) as c_uint) }.cast::<sys::nlmsghdr>();
    let header = sys::nlmsghdr {
        nlmsg_len: size as u32,
        nlmsg_type: kind as u16,
        nlmsg_flags: flags as u16,
        nlmsg_seq: seq,
        nlmsg_pid: portid,
    };
    // SAFETY: just put.
    unsafe { nlh.write(header) };
    // SAFETY: as above: the padding behind the payload.
    unsafe { ptr::write_bytes(nlh.cast::<u8>().add(size), 0, align(size) - size) };
    nlh
}

/// Handles each message of a datagram with `cb`, as Linux does for its netlink families.
///
/// # Safety
/// `skb` is live and stamped with its sender.
/// # Context
/// As `cb` needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_rcv_skb(
    skb: *mut sys::sk_buff,
    cb: Option<
        unsafe extern "C" fn(
            *mut sys::sk_buff,
            *mut sys::nlmsghdr,
            *mut sys::netlink_ext_ack,
        ) -> c_int,
    >,
) -> c_int {
    let Some(cb) = cb else { return 0 };
    // SAFETY: the caller's buffer is alive; this is one more reference for the loop.
    let held = unsafe { Skb::share(skb) };
    for_each_request(&held, |nlh, extack| {
        // SAFETY: the caller's own function; the message is whole.
        crate::errno::from_ret(unsafe { cb(skb, nlh, extack) }).map(drop)
    });
    0
}

/// Answers a message with an acknowledgement (0) or an error.
///
/// # Safety
/// `nlh` is a whole message in `in_skb`, which is live and stamped with its sender.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_ack(
    in_skb: *mut sys::sk_buff,
    nlh: *mut sys::nlmsghdr,
    err: c_int,
    _extack: *const sys::netlink_ext_ack,
) {
    acknowledge(in_skb, nlh, err);
}

/// Sends a datagram to one client and drops it: its length, -ECONNREFUSED without such a client, -EAGAIN if it is full.
///
/// # Safety
/// The caller gives up its reference to `skb`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_unicast(
    _ssk: *mut sys::sock,
    skb: *mut sys::sk_buff,
    portid: u32,
    _nonblock: c_int,
) -> c_int {
    // SAFETY: the caller's contract.
    let skb = unsafe { Skb::from_raw(skb) };
    match deliver(Kernel::current(), skb.bytes(), portid) {
        Ok(()) => skb.bytes().len() as c_int,
        Err(error) => error.neg(),
    }
}

/// Sends a datagram to the members of a group and drops it: 0, or -ESRCH when nobody got it.
///
/// # Safety
/// The caller gives up its reference to `skb`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_broadcast(
    ssk: *mut sys::sock,
    skb: *mut sys::sk_buff,
    portid: u32,
    group: u32,
    allocation: sys::gfp_t,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe {
        netlink_broadcast_filtered(ssk, skb, portid, group, allocation, None, ptr::null_mut())
    }
}

/// As [`netlink_broadcast`]; `filter` returns non-zero for members who shall not have it.
///
/// # Safety
/// As there.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_broadcast_filtered(
    _ssk: *mut sys::sock,
    skb: *mut sys::sk_buff,
    portid: u32,
    group: u32,
    _allocation: sys::gfp_t,
    filter: sys::netlink_filter_fn,
    filter_data: *mut c_void,
) -> c_int {
    // SAFETY: the caller gives up its reference to `skb`.
    let skb = unsafe { Skb::from_raw(skb) };
    let wanted = |client: &Client| match filter {
        // SAFETY: the caller's own function with its own data.
        Some(filter) => unsafe { filter(client.sk(), skb.as_ptr(), filter_data) == 0 },
        None => true,
    };
    crate::errno::to_ret(multicast(Kernel::current(), skb.bytes(), portid, group, wanted))
}

/// Whether anybody is a member of the group.
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_has_listeners(_sk: *mut sys::sock, group: c_uint) -> c_int {
    let clients = Kernel::current().genl.clients();
    c_int::from(clients.iter().any(|client| client.is_member(group)))
}

/// Sends a notification to a group, and when `report` says so to the client that caused it; drops it.
///
/// # Safety
/// The caller gives up its reference to `skb`.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nlmsg_notify(
    _sk: *mut sys::sock,
    skb: *mut sys::sk_buff,
    portid: u32,
    group: c_uint,
    report: c_int,
    _flags: sys::gfp_t,
) -> c_int {
    // SAFETY: the caller's contract.
    let skb = unsafe { Skb::from_raw(skb) };
    let kernel = Kernel::current();
    let (mut told, mut asked) = (Ok(()), Ok(()));
    if group != 0 {
        let except = if report != 0 { portid } else { 0 };
        told = multicast(kernel, skb.bytes(), except, group, |_| true);
        if told == Err(Errno::ESRCH) {
            told = Ok(());
        }
    }
    if report != 0 {
        asked = deliver(kernel, skb.bytes(), portid);
    }
    crate::errno::to_ret(told.and(asked))
}

/// Whether the sender of a request has a capability. Requests are handled on behalf of their sender, so that is whom
/// `capable()` judges.
///
/// # Safety
/// None.
/// # Context
/// Inside the handling of `skb`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_capable(_skb: *const sys::sk_buff, cap: c_int) -> bool {
    crate::capability::has(cap)
}

/// As [`netlink_capable`]; there is one user namespace.
///
/// # Safety
/// None.
/// # Context
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_ns_capable(
    _skb: *const sys::sk_buff,
    _user_ns: *mut sys::user_namespace,
    cap: c_int,
) -> bool {
    crate::capability::has(cap)
}

/// As [`netlink_capable`]; there is one network namespace.
///
/// # Safety
/// None.
/// # Context
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn netlink_net_capable(_skb: *const sys::sk_buff, cap: c_int) -> bool {
    crate::capability::has(cap)
}
