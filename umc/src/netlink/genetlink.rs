// SPDX-License-Identifier: GPL-2.0-only
//! Generic netlink: requests of clients, the lock that serializes them, and messages of families.
//!
//! C header: `include/net/genetlink.h` (API of 6.12).
//! Guarantees kept: a `doit` runs in the task that received the request, under `genl_lock` unless the family says
//! `parallel_ops`, and `capable()` inside it judges the sender; a `dumpit` runs under the same lock, call by call;
//! attributes are validated as in Linux; a bad message is answered with the errno of Linux and has no other effect; a
//! message that does not fit leaves its buffer as it was and gives NULL.
//! Differs from Linux: clients are portals, not sockets. Not provided: `sock_priv_*`, loading of a family's module.
//! Used by DRBD for: every command of drbdsetup, and the events it streams.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::genl_client::Client;
pub use crate::genl_client::{Overrun, Sink};
use crate::genl_family::{FamilyRef, Table};
use crate::genl_request::{GENL_HEADER, RECORD, Request, message_bytes};
use crate::kernel::Kernel;
use crate::mutex::{KMutex, RawMutex};
use crate::netlink::nlmsg_notify;
use crate::nla::align;
use crate::sched::{self, Creds};
use crate::skbuff::Skb;
use crate::{bug, netlink, sys};

/// The largest datagram that is looked at: a socket of Linux refuses what exceeds its send buffer.
const DATAGRAM_MAX: usize = 1 << 20;
/// `net_ratelimit`: this many messages in [`PRINT_WINDOW_NS`].
const PRINT_BURST: u32 = 10;
const PRINT_WINDOW_NS: u64 = 5_000_000_000;

/// The namespace of a kernel and its generic netlink socket.
struct Home {
    net: UnsafeCell<sys::net>,
    sk: UnsafeCell<sys::sock>,
}

// SAFETY: written before they are shared; afterwards by drivers, by the rules of those structs.
unsafe impl Sync for Home {}
// SAFETY: as above.
unsafe impl Send for Home {}

/// `genl_mutex`, locked and unlocked by drivers in separate calls.
struct OpMutex(RawMutex);

impl Default for OpMutex {
    fn default() -> OpMutex {
        OpMutex(RawMutex::new())
    }
}

/// State of this subsystem in one kernel.
#[derive(Default)]
pub struct State {
    home: OnceLock<Box<Home>>,
    op_mutex: OpMutex,
    pub(crate) table: Mutex<Table>,
    pub(crate) controller: OnceLock<()>,
    clients: Mutex<Clients>,
    printed: Mutex<(u64, u32)>,
}

#[derive(Default)]
struct Clients {
    all: Vec<Arc<Client>>,
    last_portid: u32,
}

impl State {
    fn home(&self) -> &Home {
        self.home.get_or_init(|| {
            let home = Box::new(Home { net: UnsafeCell::default(), sk: UnsafeCell::default() });
            // SAFETY: nobody else has them yet.
            let (net, sk) = unsafe { (&mut *home.net.get(), &mut *home.sk.get()) };
            net.genl_sock = home.sk.get();
            (sk.sk_net, sk.sk_protocol) = (home.net.get(), sys::NETLINK_GENERIC as u16);
            sk.sk_family = sys::AF_NETLINK as u16;
            home
        })
    }

    /// The network namespace of the kernel.
    pub(crate) fn net(&self, _kernel: &'static Kernel) -> *mut sys::net {
        self.home().net.get()
    }

    /// The kernel's own end of generic netlink.
    pub(crate) fn genl_sock(&self) -> *mut sys::sock {
        self.home().sk.get()
    }

    /// The clients, as they are now.
    pub(crate) fn clients(&self) -> Vec<Arc<Client>> {
        self.clients.lock().all.clone()
    }

    /// The client with this port.
    pub(crate) fn client(&self, portid: u32) -> Option<Arc<Client>> {
        self.clients.lock().all.iter().find(|client| client.portid == portid).cloned()
    }

    /// Takes every member out of a group.
    pub(crate) fn clear_group(&self, group: u32) {
        for client in self.clients() {
            client.groups.lock().remove(&group);
        }
    }

    /// `net_ratelimit`.
    pub(crate) fn may_print(&self) -> bool {
        let now = Kernel::current().ops.now_ns();
        let mut printed = self.printed.lock();
        if now.saturating_sub(printed.0) >= PRINT_WINDOW_NS {
            *printed = (now, 0);
        }
        printed.1 = printed.1.saturating_add(1);
        printed.1 <= PRINT_BURST
    }

    pub(crate) fn lock(&self) {
        let locked = self.op_mutex.0.lock(sched::current_task(), sys::TASK_UNINTERRUPTIBLE);
        debug_assert!(locked.is_ok(), "an uninterruptible wait is not interrupted");
    }

    pub(crate) fn unlock(&self) {
        self.op_mutex.0.unlock(sched::current_task());
    }

    /// Runs `f` as an operation of the family: under the lock, unless the family serializes itself.
    pub(crate) fn serialized<R>(&self, parallel: bool, f: impl FnOnce() -> R) -> R {
        if !parallel {
            self.lock();
        }
        let result = f();
        if !parallel {
            self.unlock();
        }
        result
    }
}

/// A client's connection to generic netlink. Dropping it is closing the socket.
pub struct Portal(Arc<Client>);

impl Portal {
    /// Connects a client whose requests are judged by `creds` and answered through `sink`.
    pub fn open(kernel: &'static Kernel, creds: Creds, sink: Arc<dyn Sink>) -> Portal {
        crate::genl_ctrl::start(kernel);
        let mut clients = kernel.genl.clients.lock();
        let mut portid = clients.last_portid.wrapping_add(1).max(1);
        while clients.all.iter().any(|client| client.portid == portid) {
            portid = portid.wrapping_add(1).max(1);
        }
        clients.last_portid = portid;
        let sk = sys::sock {
            sk_net: kernel.genl.net(kernel),
            sk_family: sys::AF_NETLINK as u16,
            sk_protocol: sys::NETLINK_GENERIC as u16,
            ..Default::default()
        };
        let client = Arc::new(Client {
            kernel,
            portid,
            creds,
            sink,
            groups: Mutex::default(),
            sk: UnsafeCell::new(sk),
            dump: KMutex::new(None),
        });
        clients.all.push(client.clone());
        Portal(client)
    }

    /// The client's port: the address that replies carry.
    pub fn portid(&self) -> u32 {
        self.0.portid
    }

    /// Handles one datagram: its messages run in the calling thread, and have run when this returns. May sleep.
    pub fn receive(&self, datagram: &[u8]) {
        if datagram.len() > DATAGRAM_MAX {
            return self.refuse(datagram, Errno::EMSGSIZE);
        }
        let client = &self.0;
        client.with_creds(|| {
            let Some(skb) = Skb::copy_of(datagram) else { return };
            netlink::stamp(skb.as_ptr(), client, &client.creds);
            netlink::for_each_request(&skb, |nlh, extack| dispatch(client, &skb, nlh, extack));
            crate::netlink_dump::pump(client);
        });
    }

    /// Answers a datagram, of which at least the beginning is given, with an error and nothing else.
    pub fn refuse(&self, datagram: &[u8], error: Errno) {
        let client = &self.0;
        client.with_creds(|| {
            let Some(skb) = Skb::copy_of(&datagram[..datagram.len().min(netlink::HEADER)]) else {
                return;
            };
            netlink::stamp(skb.as_ptr(), client, &client.creds);
            netlink::refuse(&skb, error);
        });
    }

    /// Goes on with a dump that had to wait for room at the sink. May sleep.
    pub fn resume(&self) {
        self.0.with_creds(|| crate::netlink_dump::pump(&self.0));
    }

    /// Joins a multicast group.
    ///
    /// # Errors
    /// EINVAL for an impossible group, EPERM when the group asks for more than the client has.
    pub fn join_group(&self, id: u32) -> Result<()> {
        self.0.with_creds(|| {
            if !self.0.kernel.genl.table.lock().is_group(id) {
                return Err(Errno::EINVAL);
            }
            let owner = self.0.kernel.genl.table.lock().by_group(id);
            if let Some((family, index)) = &owner
                && !family.groups[*index].admits_caller()
            {
                return Err(Errno::EPERM);
            }
            let joined = self.0.groups.lock().insert(id);
            if let (Some((family, index)), true) = (owner, joined)
                && let Some(bind) = family.raw().bind
            {
                // SAFETY: the driver's own function; the family is held.
                unsafe { bind(index as c_int) };
            }
            Ok(())
        })
    }

    /// Leaves a multicast group; one that was not joined has no effect.
    pub fn leave_group(&self, id: u32) {
        self.0.with_creds(|| {
            let left = self.0.groups.lock().remove(&id);
            let owner = self.0.kernel.genl.table.lock().by_group(id);
            if let (Some((family, index)), true) = (owner, left) {
                unbind(&family, index);
            }
        });
    }
}

fn unbind(family: &FamilyRef, index: usize) {
    if let Some(unbind) = family.raw().unbind {
        // SAFETY: the driver's own function; the family is held.
        unsafe { unbind(index as c_int) };
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        let client = &self.0;
        client.kernel.genl.clients.lock().all.retain(|other| !Arc::ptr_eq(other, client));
        let groups = std::mem::take(&mut *client.groups.lock());
        client.with_creds(|| {
            for id in groups {
                let owner = client.kernel.genl.table.lock().by_group(id);
                if let Some((family, index)) = owner {
                    unbind(&family, index);
                }
            }
            crate::netlink_dump::abort(client, None);
        });
    }
}

/// One request to a family: what its sender gets as an error, if any.
fn dispatch(
    client: &Arc<Client>,
    skb: &Skb,
    nlh: *mut sys::nlmsghdr,
    extack: *mut sys::netlink_ext_ack,
) -> Result<()> {
    // SAFETY: the receive loop checked that the header is whole.
    let header = unsafe { &*nlh };
    let genl = &client.kernel.genl;
    let family = genl.table.lock().by_id(header.nlmsg_type).ok_or(Errno::ENOENT)?;
    let header_len = GENL_HEADER + family.raw().hdrsize as usize;
    if (header.nlmsg_len as usize) < netlink::HEADER + header_len {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the message is long enough for it.
    let genlhdr = unsafe { &*nlh.cast::<u8>().add(netlink::HEADER).cast::<sys::genlmsghdr>() };
    let flags = u32::from(header.nlmsg_flags);
    let dump = flags & sys::NLM_F_DUMP == sys::NLM_F_DUMP;
    if genlhdr.cmd >= family.raw().resv_start_op {
        let allowed = sys::NLM_F_REQUEST | sys::NLM_F_ACK | sys::NLM_F_ECHO;
        let flags = if dump { flags & !sys::NLM_F_DUMP } else { flags };
        if genlhdr.reserved != 0 || flags & !allowed != 0 {
            return Err(Errno::EINVAL);
        }
    }
    let op = *family.operation(genlhdr.cmd, dump).ok_or(Errno::EOPNOTSUPP)?;
    let admin = (sys::GENL_ADMIN_PERM | sys::GENL_UNS_ADMIN_PERM) as u8;
    if op.flags & admin != 0 && !crate::capability::has(sys::CAP_NET_ADMIN as c_int) {
        return Err(Errno::EPERM);
    }
    let request = Request { client, skb, nlh, extack, header_len, family: &family, op: &op };
    // SAFETY: the message is part of the datagram, which lives through the call.
    let message = unsafe { message_bytes(nlh) };
    bug::serving(RECORD, message, || match dump {
        true => crate::netlink_dump::start(&request),
        false => genl.serialized(family.is_parallel(), || request.doit()),
    })
}

/// Takes the lock under which requests run.
///
/// # Safety
/// The calling task does not hold it.
/// # Context
/// May sleep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genl_lock() {
    Kernel::current().genl.lock();
}

/// Releases the lock of [`genl_lock`], also the one that a handler was called under.
///
/// # Safety
/// The calling task holds it.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genl_unlock() {
    Kernel::current().genl.unlock();
}

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
    // SAFETY: `family` is registered, hence live.
    let family = unsafe { &*family };
    let payload = GENL_HEADER + family.hdrsize as usize;
    // SAFETY: `skb` is live and the caller's.
    let room = unsafe { (*skb).end - (*skb).tail } as usize;
    if room < align(netlink::HEADER + payload) {
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
    // SAFETY: `family` is registered, hence live.
    let Some(group) = (unsafe { group_id(family, group) }) else {
        // SAFETY: the caller gave it up.
        return unsafe { crate::skbuff::kfree_skb(skb) };
    };
    // SAFETY: the dispatcher's own.
    let info = unsafe { &*info };
    // SAFETY: the request lives while it is handled.
    let echo = !info.nlhdr.is_null()
        && u32::from(unsafe { (*info.nlhdr).nlmsg_flags }) & sys::NLM_F_ECHO != 0;
    // SAFETY: the caller gives up its reference to `skb`.
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
    // SAFETY: `family` is registered, hence live.
    let Some(group) = (unsafe { group_id(family, group) }) else {
        // SAFETY: the caller gave it up.
        unsafe { crate::skbuff::kfree_skb(skb) };
        return Errno::EINVAL.neg();
    };
    // SAFETY: the caller gives up its reference to `skb`.
    unsafe { netlink::netlink_broadcast(ptr::null_mut(), skb, portid, group, 0) }
}

#[cfg(test)]
mod tests;
