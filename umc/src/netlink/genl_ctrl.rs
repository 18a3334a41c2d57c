// SPDX-License-Identifier: GPL-2.0-only
//! The controller family `nlctrl`: which families there are, and how they come and go.
//!
//! C header: `include/uapi/linux/genetlink.h` (API of 6.12).
//! Guarantees kept: GETFAMILY by name, by id and as a dump answers with the attributes of Linux in their order; members
//! of the group `notify` (id 16) hear of families and groups that come and go, a group's end before its family's; when
//! `genl_unregister_family` returns, no operation of the family runs or will run, its dumps are ended (with their `done`
//! called) and its groups have no members.
//! Differs from Linux: policies are not described (no GETPOLICY).
//! Used by DRBD for: the look-up that each stock tool begins with.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::errno::{Errno, Result, to_ret};
use crate::genl_family::{self, Family, Group};
use crate::genl_request::GENL_HEADER;
use crate::kernel::Kernel;
use crate::nla::{nla_put, payload};
use crate::skbuff::Skb;
use crate::{netlink, sys};

/// Version of the controller's messages.
const VERSION: u8 = 2;
/// Room of a reply.
const REPLY_LEN: usize = 8192;

/// The controller's own struct and arrays, one per kernel: registration writes into them.
struct Controller {
    family: sys::genl_family,
    ops: [sys::genl_ops; 1],
    groups: [sys::genl_multicast_group; 1],
    policy: [sys::nla_policy; sys::CTRL_ATTR_FAMILY_NAME as usize + 1],
}

fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let mut chars = [0; N];
    for (slot, byte) in chars.iter_mut().zip(text.bytes()) {
        *slot = byte as c_char;
    }
    chars
}

/// Registers the controller, once per kernel.
pub(crate) fn start(kernel: &'static Kernel) {
    kernel.genl.controller.get_or_init(|| {
        let mut policy = [sys::nla_policy::default(); 3];
        policy[sys::CTRL_ATTR_FAMILY_ID as usize].type_ = sys::NLA_U16 as u8;
        policy[sys::CTRL_ATTR_FAMILY_NAME as usize].type_ = sys::NLA_NUL_STRING as u8;
        policy[sys::CTRL_ATTR_FAMILY_NAME as usize].len = sys::GENL_NAMSIZ as u16 - 1;
        // Never freed, as the kernel that it belongs to.
        let controller = Box::leak(Box::new(Controller {
            family: sys::genl_family::default(),
            ops: [sys::genl_ops {
                doit: Some(get_family),
                dumpit: Some(dump_families),
                cmd: sys::CTRL_CMD_GETFAMILY as u8,
                validate: (sys::GENL_DONT_VALIDATE_STRICT | sys::GENL_DONT_VALIDATE_DUMP) as u8,
                ..Default::default()
            }],
            groups: [sys::genl_multicast_group { name: chars("notify"), flags: 0 }],
            policy,
        }));
        let family = &mut controller.family;
        family.name = chars("nlctrl");
        family.version = u32::from(VERSION);
        family.maxattr = sys::CTRL_ATTR_FAMILY_NAME;
        family.policy = controller.policy.as_ptr();
        (family.ops, family.n_ops) = (controller.ops.as_ptr(), 1);
        (family.mcgrps, family.n_mcgrps) = (controller.groups.as_ptr(), 1);
        family.resv_start_op = sys::CTRL_CMD_GETPOLICY as u8 + 1;
        // SAFETY: leaked, so it stays valid. It cannot fail: its name is the first of the table.
        let entered = unsafe { genl_family::enter(kernel, family) };
        debug_assert!(entered.is_ok());
    });
}

/// A message of the controller under construction.
struct Message<'a> {
    skb: &'a Skb,
    start: usize,
}

impl Message<'_> {
    fn begin(skb: &Skb, portid: u32, seq: u32, flags: u32, cmd: u8) -> Result<Message<'_>> {
        let (len, start) = (netlink::HEADER + GENL_HEADER, skb.bytes().len());
        // SAFETY: our own buffer.
        let room = unsafe { (*skb.as_ptr()).end - (*skb.as_ptr()).tail } as usize;
        if room < len {
            return Err(Errno::EMSGSIZE);
        }
        let (kind, payload) = (sys::GENL_ID_CTRL as c_int, GENL_HEADER as c_int);
        // SAFETY: there is room.
        let nlh = unsafe {
            netlink::__nlmsg_put(skb.as_ptr(), portid, seq, kind, payload, flags as c_int)
        };
        let header = sys::genlmsghdr { cmd, version: VERSION, reserved: 0 };
        // SAFETY: its room was just put.
        unsafe { nlh.cast::<u8>().add(netlink::HEADER).cast::<sys::genlmsghdr>().write(header) };
        Ok(Message { skb, start })
    }

    fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: callers pass offsets of what was put already.
        unsafe { (*self.skb.as_ptr()).data.add(offset) }
    }

    fn put(&self, kind: u32, data: &[u8]) -> Result<()> {
        let (kind, len) = (kind as c_int, data.len() as c_int);
        // SAFETY: our own buffer, and a live slice.
        crate::errno::from_ret(unsafe {
            nla_put(self.skb.as_ptr(), kind, len, data.as_ptr().cast())
        })
        .map(drop)
    }

    fn put_u32(&self, kind: u32, value: u32) -> Result<()> {
        self.put(kind, &value.to_ne_bytes())
    }

    fn put_text(&self, kind: u32, text: &str) -> Result<()> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    fn nest(&self, kind: u32, inside: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = self.skb.bytes().len();
        self.put(kind, &[])?;
        inside()?;
        let len = (self.skb.bytes().len() - start) as u16;
        // SAFETY: the nest's header was put at `start`.
        unsafe { (*self.at(start).cast::<sys::nlattr>()).nla_len = len };
        Ok(())
    }

    /// Completes the message, or takes it back.
    fn end(self, result: Result<()>) -> Result<()> {
        if result.is_err() {
            // SAFETY: our own buffer.
            unsafe { crate::skbuff::skb_trim(self.skb.as_ptr(), self.start as u32) };
            return result;
        }
        let len = (self.skb.bytes().len() - self.start) as u32;
        // SAFETY: the message's header was put at `start`.
        unsafe { (*self.at(self.start).cast::<sys::nlmsghdr>()).nlmsg_len = len };
        Ok(())
    }
}

fn fill_group(message: &Message<'_>, index: u32, group: &Group) -> Result<()> {
    message.nest(index, || {
        message.put_u32(sys::CTRL_ATTR_MCAST_GRP_ID, group.id)?;
        message.put_text(sys::CTRL_ATTR_MCAST_GRP_NAME, &group.name)
    })
}

fn fill_commands(message: &Message<'_>, family: &Family) -> Result<()> {
    for (command, index) in family.commands.iter().zip(1..) {
        let mut flags = 0;
        for op in command.doit.iter().chain(&command.dumpit) {
            flags |= u32::from(op.flags);
            if !op.policy.is_null() {
                flags |= sys::GENL_CMD_CAP_HASPOL;
            }
        }
        message.nest(index, || {
            message.put_u32(sys::CTRL_ATTR_OP_ID, u32::from(command.cmd))?;
            message.put_u32(sys::CTRL_ATTR_OP_FLAGS, flags)
        })?;
    }
    Ok(())
}

fn fill(skb: &Skb, family: &Family, portid: u32, seq: u32, flags: u32, cmd: u8) -> Result<()> {
    let message = Message::begin(skb, portid, seq, flags, cmd)?;
    let body = || {
        let raw = family.raw();
        message.put_text(sys::CTRL_ATTR_FAMILY_NAME, &family.name)?;
        message.put(sys::CTRL_ATTR_FAMILY_ID, &family.id.to_ne_bytes())?;
        message.put_u32(sys::CTRL_ATTR_VERSION, raw.version)?;
        message.put_u32(sys::CTRL_ATTR_HDRSIZE, raw.hdrsize)?;
        message.put_u32(sys::CTRL_ATTR_MAXATTR, raw.maxattr)?;
        if !family.commands.is_empty() {
            message.nest(sys::CTRL_ATTR_OPS, || fill_commands(&message, family))?;
        }
        if !family.groups.is_empty() {
            message.nest(sys::CTRL_ATTR_MCAST_GROUPS, || {
                family
                    .groups
                    .iter()
                    .zip(1..)
                    .try_for_each(|(group, index)| fill_group(&message, index, group))
            })?;
        }
        Ok(())
    };
    let result = body();
    message.end(result)
}

fn notify(kernel: &'static Kernel, fill: impl FnOnce(&Skb) -> Result<()>) {
    let Some(skb) = Skb::new(REPLY_LEN) else { return };
    if fill(&skb).is_ok() {
        // That nobody listens is no error.
        let _ = netlink::multicast(kernel, skb.bytes(), 0, sys::GENL_ID_CTRL, |_| true);
    }
}

/// Tells the members of `notify` about a family.
pub(crate) fn announce(kernel: &'static Kernel, cmd: u8, family: &Family) {
    notify(kernel, |skb| fill(skb, family, 0, 0, 0, cmd));
}

/// Tells the members of `notify` about one group of a family.
pub(crate) fn announce_group(kernel: &'static Kernel, cmd: u8, family: &Family, group: &Group) {
    notify(kernel, |skb| {
        let message = Message::begin(skb, 0, 0, 0, cmd)?;
        let body = || {
            message.put_text(sys::CTRL_ATTR_FAMILY_NAME, &family.name)?;
            message.put(sys::CTRL_ATTR_FAMILY_ID, &family.id.to_ne_bytes())?;
            message.nest(sys::CTRL_ATTR_MCAST_GROUPS, || fill_group(&message, 1, group))
        };
        let result = body();
        message.end(result)
    });
}

/// CTRL_CMD_GETFAMILY of one family.
unsafe extern "C" fn get_family(_skb: *mut sys::sk_buff, info: *mut sys::genl_info) -> c_int {
    // SAFETY: the dispatcher's own; `attrs` has an entry for each attribute of the policy.
    let info = unsafe { &*info };
    // SAFETY: as above.
    let attr = |kind: u32| unsafe { *info.attrs.add(kind as usize) };
    let (by_id, by_name) = (attr(sys::CTRL_ATTR_FAMILY_ID), attr(sys::CTRL_ATTR_FAMILY_NAME));
    let kernel = Kernel::current();
    to_ret((|| {
        if by_id.is_null() && by_name.is_null() {
            return Err(Errno::EINVAL);
        }
        let family = if by_name.is_null() {
            // SAFETY: validated as a 16-bit number at least.
            let id = unsafe { ptr::read_unaligned(payload(by_id).as_ptr().cast::<u16>()) };
            kernel.genl.table.lock().by_id(id)
        } else {
            // SAFETY: validated as a terminated text.
            let name = unsafe { payload(by_name) };
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            kernel.genl.table.lock().by_name(&String::from_utf8_lossy(name))
        };
        let family = family.ok_or(Errno::ENOENT)?;
        let reply = Skb::new(REPLY_LEN).ok_or(Errno::ENOBUFS)?;
        fill(&reply, &family, info.snd_portid, info.snd_seq, 0, sys::CTRL_CMD_NEWFAMILY as u8)?;
        let client = kernel.genl.client(info.snd_portid).ok_or(Errno::ECONNREFUSED)?;
        client.sink.deliver(reply.bytes()).map_err(|_| Errno::EAGAIN)
    })())
}

/// CTRL_CMD_GETFAMILY of all: `args[0]` counts those that were told already.
unsafe extern "C" fn dump_families(
    skb: *mut sys::sk_buff,
    cb: *mut sys::netlink_callback,
) -> c_int {
    // SAFETY: the dump's own buffer; this is one more reference.
    let skb = unsafe { Skb::share(skb) };
    // SAFETY: the dump's own callback.
    let cb = unsafe { &mut *cb };
    // SAFETY: the union is numbers only.
    let args = unsafe { &mut cb.__bindgen_anon_1.args };
    // SAFETY: the request lives as long as its dump, and `data` is what the dump stored there.
    let (seq, portid) = unsafe {
        ((*cb.nlh).nlmsg_seq, (*cb.data.cast::<sys::genl_dumpit_info>()).info.snd_portid)
    };
    let families = Kernel::current().genl.table.lock().all();
    for family in families.iter().skip(args[0] as usize) {
        let cmd = sys::CTRL_CMD_NEWFAMILY as u8;
        if let Err(error) = fill(&skb, family, portid, seq, sys::NLM_F_MULTI, cmd) {
            return error.neg();
        }
        args[0] += 1;
    }
    skb.bytes().len() as c_int
}

/// Takes a family away: see the guarantees above.
fn unregister(kernel: &'static Kernel, raw: *const sys::genl_family) -> Result<()> {
    let family = genl_family::leave(kernel, raw)?;
    crate::netlink_dump::abort_family(kernel, family.id);
    for group in &family.groups {
        kernel.genl.clear_group(group.id);
        kernel.genl.table.lock().free_group(group.id);
        announce_group(kernel, sys::CTRL_CMD_DELMCAST_GRP as u8, &family, group);
    }
    announce(kernel, sys::CTRL_CMD_DELFAMILY as u8, &family);
    Ok(())
}

/// Registers a family and tells the members of the controller's group.
///
/// # Safety
/// `family` stays valid, its arrays included, until it is unregistered.
/// # Context
/// May sleep.
#[unsafe(export_name = "umc_genl_register_family")]
pub unsafe extern "C" fn genl_register_family(family: *mut sys::genl_family) -> c_int {
    let kernel = Kernel::current();
    start(kernel);
    // SAFETY: the caller's contract.
    to_ret(unsafe { genl_family::enter(kernel, family) }.map(|family| {
        announce(kernel, sys::CTRL_CMD_NEWFAMILY as u8, &family);
        for group in &family.groups {
            let cmd = sys::CTRL_CMD_NEWMCAST_GRP as u8;
            announce_group(kernel, cmd, &family, group);
        }
    }))
}

/// Unregisters a family: see the guarantees above.
///
/// # Safety
/// `family` is the driver's own. Not from inside an operation of the family.
/// # Context
/// May sleep; not under `genl_lock`.
#[unsafe(export_name = "umc_genl_unregister_family")]
pub unsafe extern "C" fn genl_unregister_family(family: *const sys::genl_family) -> c_int {
    crate::context::might_sleep();
    to_ret(unregister(Kernel::current(), family))
}
