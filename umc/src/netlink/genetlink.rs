// SPDX-License-Identifier: GPL-2.0-only
//! Generic netlink: requests of clients, and the lock that serializes them.
//!
//! C header: `include/net/genetlink.h` (API of 6.12).
//! Guarantees kept: a `doit` runs in the task that received the request, under `genl_lock` unless the family says
//! `parallel_ops`, and `capable()` inside it judges the sender; a `dumpit` runs under the same lock, call by call;
//! attributes are validated as in Linux; a bad message is answered with the errno of Linux and has no other effect.
//! Differs from Linux: clients are portals, not sockets. Not provided: `sock_priv_*`, loading of a family's module.
//! Used by DRBD for: every command of drbdsetup, and the events it streams.

use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::ffi::c_int;
use std::sync::{Arc, OnceLock};

use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::genl_family::{FamilyRef, Table};
use crate::kernel::Kernel;
use crate::mutex::{KMutex, RawMutex};
use crate::netlink_dump::Dump;
use crate::nla_policy::{Report, STRICT, parse};
use crate::sched::{self, Creds};
use crate::skbuff::Skb;
use crate::{bug, netlink, sys};

/// Bytes of a generic netlink header.
pub(crate) const GENL_HEADER: usize = 4;
/// The largest datagram that is looked at: a socket of Linux refuses what exceeds its send buffer.
const DATAGRAM_MAX: usize = 1 << 20;
/// `net_ratelimit`: this many messages in [`PRINT_WINDOW_NS`].
const PRINT_BURST: u32 = 10;
const PRINT_WINDOW_NS: u64 = 5_000_000_000;

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

    /// Whether the next part of a dump may be made now. A sink that says no calls [`Portal::resume`] when its client
    /// has read enough. Without this method a dump is delivered in one go.
    fn has_room(&self) -> bool {
        true
    }
}

/// One client, as the rest of netlink sees it.
pub(crate) struct Client {
    pub(crate) kernel: &'static Kernel,
    pub(crate) portid: u32,
    creds: Creds,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) groups: Mutex<BTreeSet<u32>>,
    sk: UnsafeCell<sys::sock>,
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

/// What a report calls a message.
pub(crate) const RECORD: &str = "a netlink record";

/// A message with its header.
///
/// # Safety
/// It was received whole, and lives as long as what is done with it.
pub(crate) unsafe fn message_bytes<'a>(nlh: *const sys::nlmsghdr) -> &'a [u8] {
    // SAFETY: the caller's contract.
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

    fn doit(&self) -> Result<()> {
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

#[cfg(test)]
mod tests;
