// SPDX-License-Identifier: GPL-2.0-only
//! One request to a generic netlink family, as its operations are told of it.

use std::ffi::c_int;
use std::sync::Arc;

use crate::errno::{Errno, Result};
use crate::genl_client::Client;
use crate::genl_family::FamilyRef;
use crate::nla_policy::{Report, STRICT, parse};
use crate::skbuff::Skb;
use crate::{netlink, sys};

/// Bytes of a generic netlink header.
pub(crate) const GENL_HEADER: usize = 4;

/// What a report calls a message.
pub(crate) const RECORD: &str = "a netlink record";

/// A message with its header.
///
/// # Safety
/// It was received whole, and lives as long as what is done with it.
pub(crate) unsafe fn message_bytes<'a>(nlh: *const sys::nlmsghdr) -> &'a [u8] {
    // SAFETY: the message was received whole, so its length is that of its memory.
    unsafe { std::slice::from_raw_parts(nlh.cast(), (*nlh).nlmsg_len as usize) }
}

/// A request that passed the checks of its header.
pub(crate) struct Request<'a> {
    pub(crate) client: &'a Arc<Client>,
    pub(crate) skb: &'a Skb,
    pub(crate) nlh: *mut sys::nlmsghdr,
    pub(crate) extack: *mut sys::netlink_ext_ack,
    pub(crate) header_len: usize,
    pub(crate) family: &'a FamilyRef,
    pub(crate) op: &'a sys::genl_split_ops,
}

impl Request<'_> {
    /// The attributes by type, or none at all for an operation without policy.
    pub(crate) fn attributes(&self, liberal_flag: u32) -> Result<Vec<*mut sys::nlattr>> {
        if self.op.maxattr == 0 {
            return Ok(Vec::new());
        }
        let liberal = u32::from(self.op.validate) & liberal_flag != 0;
        let validate = if liberal { sys::NL_VALIDATE_LIBERAL } else { STRICT };
        let mut attrs = vec![std::ptr::null_mut(); self.op.maxattr as usize + 1];
        let skip = netlink::HEADER + crate::nla::align(self.header_len);
        // SAFETY: the receive loop checked that the whole message is there.
        let len = unsafe { (*self.nlh).nlmsg_len } as c_int - skip as c_int;
        // SAFETY: `len` bytes follow, or none when it is negative; the policy is the driver's for `maxattr`.
        unsafe {
            let head = self.nlh.cast::<u8>().wrapping_add(skip).cast();
            parse(&mut attrs, head, len, self.op.policy, validate, Report::new(self.extack))
        }?;
        Ok(attrs)
    }

    /// What a handler is told about the request.
    pub(crate) fn info(&self, attrs: &mut Vec<*mut sys::nlattr>) -> sys::genl_info {
        // SAFETY: as in `attributes`.
        let header = unsafe { &*self.nlh };
        sys::genl_info {
            snd_seq: header.nlmsg_seq,
            snd_portid: self.client.portid,
            family: self.family.raw,
            nlhdr: self.nlh,
            genlhdr: self.nlh.cast::<u8>().wrapping_add(netlink::HEADER).cast(),
            attrs: if attrs.is_empty() { std::ptr::null_mut() } else { attrs.as_mut_ptr() },
            _net: sys::possible_net_t { net: self.client.kernel.genl.net(self.client.kernel) },
            user_ptr: [std::ptr::null_mut(); 2],
            extack: self.extack,
        }
    }

    /// Calls the `doit` of the operation. Under the lock of its family.
    pub(crate) fn doit(&self) -> Result<()> {
        let mut attrs = self.attributes(sys::GENL_DONT_VALIDATE_STRICT)?;
        let mut info = self.info(&mut attrs);
        let skb = self.skb.as_ptr();
        // SAFETY: the operation was looked up as a `doit`, so this is the member of the union that was written.
        let ops = unsafe { &self.op.__bindgen_anon_1.__bindgen_anon_1 };
        if let Some(pre_doit) = ops.pre_doit {
            // SAFETY: the driver's own function; everything it is given lives through the call.
            crate::errno::from_ret(unsafe { pre_doit(self.op, skb, &raw mut info) })?;
        }
        let doit = ops.doit.ok_or(Errno::EOPNOTSUPP)?;
        // SAFETY: as above.
        let ret = unsafe { doit(skb, &raw mut info) };
        if let Some(post_doit) = ops.post_doit {
            // SAFETY: as above.
            unsafe { post_doit(self.op, skb, &raw mut info) };
        }
        crate::errno::from_ret(ret).map(drop)
    }
}
