// SPDX-License-Identifier: GPL-2.0-only
//! Building and sending generic netlink messages.
//!
//! C header: `include/net/genetlink.h` (API of 6.12).
//! Guarantees kept: a message that does not fit leaves its buffer as it was and gives NULL.
//! Differs from Linux: all namespaces are one.
//! Used by DRBD for: every reply and event (`genlmsg_put`).

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use crate::errno::Errno;
use crate::genetlink::GENL_HEADER;
use crate::netlink::{self, nlmsg_notify};
use crate::sys;

/// Appends the headers of a message of a family; returns where the family's own header goes, or NULL.
///
/// # Safety
/// `skb` is live and the caller's; `family` is registered.
/// # Context
/// Any.
#[unsafe(export_name = "umc_genlmsg_put")]
pub unsafe extern "C" fn genlmsg_put(
    skb: *mut sys::sk_buff,
    portid: u32,
    seq: u32,
    family: *const sys::genl_family,
    flags: c_int,
    cmd: u8,
) -> *mut c_void {
    // SAFETY: the caller's contract.
    let family = unsafe { &*family };
    let payload = GENL_HEADER + family.hdrsize as usize;
    // SAFETY: the caller's contract.
    let room = unsafe { (*skb).end - (*skb).tail } as usize;
    if room < crate::nla::align(netlink::HEADER + payload) {
        return ptr::null_mut();
    }
    // SAFETY: there is room.
    let nlh = unsafe { netlink::__nlmsg_put(skb, portid, seq, family.id, payload as c_int, flags) };
    // SAFETY: the payload was just put behind the header.
    let header = unsafe { nlh.cast::<u8>().add(netlink::HEADER) };
    let content = sys::genlmsghdr { cmd, version: family.version as u8, reserved: 0 };
    // SAFETY: as above.
    unsafe { header.cast::<sys::genlmsghdr>().write(content) };
    // SAFETY: as above.
    unsafe { header.add(GENL_HEADER) }.cast()
}

/// The id of a family's group, if it has one of that index.
///
/// # Safety
/// `family` is registered.
unsafe fn group_id(family: *const sys::genl_family, group: u32) -> Option<u32> {
    // SAFETY: the caller's contract.
    let family = unsafe { &*family };
    (group < u32::from(family.n_mcgrps)).then(|| family.mcgrp_offset + group)
}

/// Sends an event to a group of the family, and to the client of `info` if it asked for an echo; drops the buffer.
///
/// # Safety
/// The caller gives up its reference to `skb`; `family` is registered.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genl_notify(
    family: *const sys::genl_family,
    skb: *mut sys::sk_buff,
    info: *mut sys::genl_info,
    group: u32,
    flags: sys::gfp_t,
) {
    // SAFETY: the caller's contract.
    let Some(group) = (unsafe { group_id(family, group) }) else {
        // SAFETY: the caller gave it up.
        return unsafe { crate::skbuff::kfree_skb(skb) };
    };
    // SAFETY: the dispatcher's own.
    let info = unsafe { &*info };
    // SAFETY: the request lives while it is handled.
    let echo = !info.nlhdr.is_null()
        && u32::from(unsafe { (*info.nlhdr).nlmsg_flags }) & sys::NLM_F_ECHO != 0;
    // SAFETY: the caller's contract.
    unsafe { nlmsg_notify(ptr::null_mut(), skb, info.snd_portid, group, c_int::from(echo), flags) };
}

/// Sends an event to a group of the family in every namespace, and drops the buffer: 0, or -ESRCH if nobody got it.
///
/// # Safety
/// The caller gives up its reference to `skb`; `family` is registered.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genlmsg_multicast_allns(
    family: *const sys::genl_family,
    skb: *mut sys::sk_buff,
    portid: u32,
    group: c_uint,
) -> c_int {
    // SAFETY: the caller's contract.
    let Some(group) = (unsafe { group_id(family, group) }) else {
        // SAFETY: the caller gave it up.
        unsafe { crate::skbuff::kfree_skb(skb) };
        return Errno::EINVAL.neg();
    };
    // SAFETY: the caller's contract.
    unsafe { netlink::netlink_broadcast(ptr::null_mut(), skb, portid, group, 0) }
}
