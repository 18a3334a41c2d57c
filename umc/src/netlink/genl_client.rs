// SPDX-License-Identifier: GPL-2.0-only
//! A client of generic netlink: who it is, where its messages go, and the dump it is given.

use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::ffi::c_int;
use std::sync::Arc;

use mte::sim::lock::Mutex;

use crate::kernel::Kernel;
use crate::mutex::KMutex;
use crate::sched::{self, Creds};
use crate::skbuff::Skb;
use crate::sys;

/// The client did not read fast enough and this message is lost to it.
///
/// Whoever implements the sink remembers it and reports ENOBUFS to the client at its next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun;

/// Where messages for a client go.
pub trait Sink: Send + Sync {
    /// Takes one datagram. Never blocks; may be called from any thread, also from atomic context.
    ///
    /// # Errors
    /// [`Overrun`] when the client's queue is full.
    fn deliver(&self, message: &[u8]) -> core::result::Result<(), Overrun>;

    /// Whether the next part of a dump may be made now. A sink that says no calls [`crate::genetlink::Portal::resume`] when its client
    /// has read enough. Without this method a dump is delivered in one go.
    fn has_room(&self) -> bool {
        true
    }
}

/// One client, as the rest of netlink sees it.
pub(crate) struct Client {
    pub(crate) kernel: &'static Kernel,
    pub(crate) portid: u32,
    pub(crate) creds: Creds,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) groups: Mutex<BTreeSet<u32>>,
    pub(crate) sk: UnsafeCell<sys::sock>,
    /// The dump that runs; its lock is held while a part is made.
    pub(crate) dump: KMutex<Option<Box<Dump>>>,
}

// SAFETY: `sk` is written before the client is shared, and afterwards only by drivers, by the rules of struct sock.
unsafe impl Sync for Client {}
// SAFETY: as above.
unsafe impl Send for Client {}

impl Client {
    /// What drivers find in `NETLINK_CB(skb).sk`.
    pub(crate) fn sk(&self) -> *mut sys::sock {
        self.sk.get()
    }

    /// Runs `f` as on behalf of the client.
    pub(crate) fn with_creds<R>(&self, f: impl FnOnce() -> R) -> R {
        let Creds { pid, uid, caps } = self.creds;
        sched::with_kernel(self.kernel, || sched::with_creds(Creds { pid, uid, caps }, f))
    }

    pub(crate) fn is_member(&self, group: u32) -> bool {
        self.groups.lock().contains(&group)
    }
}

/// A dump under way.
///
/// # Invariants
/// The boxes stay where they are: `cb.data` points to `info`, and `info` to `attrs`.
pub(crate) struct Dump {
    pub(crate) cb: Box<sys::netlink_callback>,
    pub(crate) info: Box<sys::genl_dumpit_info>,
    pub(crate) _attrs: Vec<*mut sys::nlattr>,
    /// The request; `cb.nlh` points into it.
    pub(crate) _request: Skb,
    /// The request as it came; drivers write to theirs.
    pub(crate) message: Vec<u8>,
    pub(crate) family: u16,
    pub(crate) parallel: bool,
    pub(crate) module: *mut sys::module,
    /// The last return value: positive = there may be more.
    pub(crate) last: c_int,
}

// SAFETY: the pointers lead to what the dump owns and to the driver's family, usable from any thread.
unsafe impl Send for Dump {}
