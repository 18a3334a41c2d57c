// SPDX-License-Identifier: GPL-2.0-only
//! A family in the C layout, and clients that speak the wire format.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::genl_ctrl::{genl_register_family, genl_unregister_family};
use crate::kernel::Config;
use crate::nla::nla_put;
use crate::skbuff::{alloc_skb, kfree_skb};

/// What a client received.
#[derive(Default)]
struct Inbox {
    messages: Mutex<Vec<Vec<u8>>>,
    is_full: AtomicBool,
}

impl Sink for Inbox {
    fn deliver(&self, message: &[u8]) -> core::result::Result<(), Overrun> {
        self.messages.lock().push(message.to_vec());
        Ok(())
    }

    fn has_room(&self) -> bool {
        !self.is_full.load(Ordering::Relaxed)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

impl Inbox {
    /// All messages, also those that share a datagram: (type, flags, sequence, payload).
    fn take(&self) -> Vec<(u16, u16, u32, Vec<u8>)> {
        let mut parts = Vec::new();
        for datagram in self.messages.lock().drain(..) {
            let mut rest = &datagram[..];
            while rest.len() >= 16 {
                let len = u32_at(rest, 0) as usize;
                assert!((16..=rest.len()).contains(&len), "a whole message");
                parts.push((
                    u16_at(rest, 4),
                    u16_at(rest, 6),
                    u32_at(rest, 8),
                    rest[16..len].to_vec(),
                ));
                rest = &rest[crate::nla::align(len).min(rest.len())..];
            }
            assert!(rest.is_empty());
        }
        parts
    }

    /// The error of the only message, which must be an acknowledgement.
    fn error(&self) -> c_int {
        let parts = self.take();
        assert_eq!(parts.len(), 1, "{parts:?}");
        assert_eq!(u32::from(parts[0].0), sys::NLMSG_ERROR);
        u32_at(&parts[0].3, 0) as c_int
    }
}

fn attr(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = ((data.len() + 4) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes.resize(crate::nla::align(bytes.len()), 0);
    bytes
}

/// A request of generic netlink; `body` follows its header.
fn request(kind: u16, flags: u32, seq: u32, cmd: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((20 + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(((flags | sys::NLM_F_REQUEST) as u16).to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend([cmd, 1, 0, 0]);
    bytes.extend(body);
    bytes
}

/// Bytes of the family's own header.
const USER_HEADER: usize = 8;
const ECHO: u8 = 1;
const LIST: u8 = 2;
const ADMIN: u8 = 3;
const DROP_LOCK: u8 = 4;
const STRICT_NEW: u8 = 42;
const TEXT: u16 = 1;
const NUMBER: u16 = 2;
/// Objects of a dump.
const OBJECTS: i64 = 5;

static DONE: AtomicUsize = AtomicUsize::new(0);

fn reply(info: &sys::genl_info, value: &[u8]) {
    // SAFETY: the dispatcher's own structs.
    unsafe {
        let skb = alloc_skb(512, 0);
        let user =
            genlmsg_put(skb, info.snd_portid, info.snd_seq, info.family, 0, (*info.genlhdr).cmd);
        ptr::copy_nonoverlapping(info.genlhdr.cast::<u8>().add(4), user.cast(), USER_HEADER);
        assert_eq!(nla_put(skb, i32::from(TEXT), value.len() as c_int, value.as_ptr().cast()), 0);
        (*(*skb).data.cast::<sys::nlmsghdr>()).nlmsg_len = (*skb).len;
        netlink::netlink_unicast(ptr::null_mut(), skb, info.snd_portid, 0);
    }
}

unsafe extern "C" fn echo(_skb: *mut sys::sk_buff, info: *mut sys::genl_info) -> c_int {
    // SAFETY: the dispatcher's own structs.
    let info = unsafe { &*info };
    // SAFETY: as above; `maxattr` is 2.
    let text = unsafe { *info.attrs.add(usize::from(TEXT)) };
    if text.is_null() {
        return -libc::ENOMSG;
    }
    // SAFETY: parsed, so whole.
    reply(info, unsafe { crate::nla::payload(text) });
    0
}

unsafe extern "C" fn drop_lock(_skb: *mut sys::sk_buff, info: *mut sys::genl_info) -> c_int {
    // SAFETY: a handler runs under the lock.
    unsafe { genl_unlock() };
    // SAFETY: just released.
    unsafe { genl_lock() };
    // SAFETY: the dispatcher's own struct.
    reply(unsafe { &*info }, b"back");
    0
}

/// One object a call, as DRBD does.
unsafe extern "C" fn list(skb: *mut sys::sk_buff, cb: *mut sys::netlink_callback) -> c_int {
    // SAFETY: the dump's own structs.
    unsafe {
        let at = (*cb).__bindgen_anon_1.args[0];
        if at == OBJECTS {
            return 0;
        }
        let info = &(*(*cb).data.cast::<sys::genl_dumpit_info>()).info;
        let flags = sys::NLM_F_MULTI as c_int;
        let user =
            genlmsg_put(skb, info.snd_portid, (*(*cb).nlh).nlmsg_seq, info.family, flags, LIST);
        user.cast::<i64>().write_unaligned(at);
        (*(*skb).data.cast::<sys::nlmsghdr>()).nlmsg_len = (*skb).len;
        (*cb).__bindgen_anon_1.args[0] = at + 1;
        (*skb).len as c_int
    }
}

unsafe extern "C" fn list_done(_cb: *mut sys::netlink_callback) -> c_int {
    DONE.fetch_add(1, Ordering::Relaxed);
    0
}

fn name<const N: usize>(text: &str) -> [c_char; N] {
    let mut chars = [0; N];
    for (slot, byte) in chars.iter_mut().zip(text.bytes()) {
        *slot = byte as c_char;
    }
    chars
}

/// A registered family; unregistered when dropped.
struct Driver(*mut sys::genl_family);

impl Driver {
    fn register() -> Driver {
        let op = |cmd, doit, dumpit, done, flags: u32| sys::genl_ops {
            cmd,
            doit,
            dumpit,
            done,
            flags: flags as u8,
            ..Default::default()
        };
        let ops = Box::leak(Box::new([
            op(ECHO, Some(echo as _), None, None, 0),
            op(LIST, None, Some(list as _), Some(list_done as _), 0),
            op(ADMIN, Some(echo as _), None, None, sys::GENL_ADMIN_PERM),
            op(DROP_LOCK, Some(drop_lock as _), None, None, 0),
            op(STRICT_NEW, Some(echo as _), None, None, 0),
        ]));
        let mut policy = [sys::nla_policy::default(); 3];
        (policy[1].type_, policy[1].len) = (sys::NLA_NUL_STRING as u8, 15);
        policy[2].type_ = sys::NLA_U32 as u8;
        let groups =
            Box::leak(Box::new([sys::genl_multicast_group { name: name("events"), flags: 0 }]));
        let family = Box::leak(Box::new(sys::genl_family {
            name: name("unit"),
            version: 1,
            hdrsize: USER_HEADER as u32,
            maxattr: 2,
            resv_start_op: STRICT_NEW,
            policy: Box::leak(Box::new(policy)).as_ptr(),
            ops: ops.as_ptr(),
            n_ops: ops.len() as u8,
            mcgrps: groups.as_ptr(),
            n_mcgrps: 1,
            ..Default::default()
        }));
        // SAFETY: leaked.
        assert_eq!(unsafe { genl_register_family(family) }, 0);
        Driver(family)
    }

    fn id(&self) -> u16 {
        // SAFETY: leaked.
        unsafe { (*self.0).id as u16 }
    }

    fn group(&self) -> u32 {
        // SAFETY: leaked.
        unsafe { (*self.0).mcgrp_offset }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: registered by `register`.
        assert_eq!(unsafe { genl_unregister_family(self.0) }, 0);
    }
}

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

fn client(kernel: &'static Kernel, caps: u64) -> (Portal, Arc<Inbox>) {
    let inbox = Arc::new(Inbox::default());
    let creds = Creds { pid: 7, uid: 1000, caps };
    (Portal::open(kernel, creds, inbox.clone()), inbox)
}

fn body(attrs: &[u8]) -> Vec<u8> {
    let mut body = vec![0xaa; USER_HEADER];
    body.extend(attrs);
    body
}

#[test]
fn families_are_found() {
    let kernel = boot();
    let (portal, inbox) = client(kernel, 0);
    portal.join_group(sys::GENL_ID_CTRL).unwrap();
    let find = |name: &[u8]| {
        let body = attr(sys::CTRL_ATTR_FAMILY_NAME as u16, name);
        portal.receive(&request(16, 0, 77, sys::CTRL_CMD_GETFAMILY as u8, &body));
    };
    find(b"unit\0");
    assert_eq!(inbox.error(), -libc::ENOENT);
    let driver = Driver::register();
    let told = inbox.take();
    assert_eq!(
        told.iter().map(|part| part.3[0]).collect::<Vec<_>>(),
        [1, 7],
        "NEWFAMILY, NEWMCAST_GRP"
    );
    find(b"unit\0");
    let found = inbox.take();
    assert_eq!((found.len(), found[0].0, found[0].2), (1, 16, 77));
    let payload = &found[0].3;
    // SAFETY: a live buffer.
    let value = |kind: u32| unsafe {
        let head = payload.as_ptr().add(4).cast();
        let nla = crate::nla::nla_find(head, payload.len() as c_int - 4, kind as c_int);
        crate::nla::payload(nla).to_vec()
    };
    assert_eq!(value(sys::CTRL_ATTR_FAMILY_ID), driver.id().to_ne_bytes());
    assert_eq!(value(sys::CTRL_ATTR_VERSION), 1u32.to_ne_bytes());
    assert_eq!(value(sys::CTRL_ATTR_HDRSIZE), 8u32.to_ne_bytes());
    let groups = value(sys::CTRL_ATTR_MCAST_GROUPS);
    assert_eq!(u32_at(&groups, 8), driver.group());
    assert_eq!(&groups[16..23], b"events\0");
    portal.receive(&request(16, sys::NLM_F_DUMP, 78, sys::CTRL_CMD_GETFAMILY as u8, &[]));
    let kinds: Vec<u16> = inbox.take().iter().map(|part| part.0).collect();
    assert_eq!(kinds, [16, 16, sys::NLMSG_DONE as u16], "nlctrl, unit, the end");
    drop(driver);
    let told: Vec<u8> = inbox.take().iter().map(|part| part.3[0]).collect();
    assert_eq!(told, [8, 2], "DELMCAST_GRP, DELFAMILY");
}

#[test]
fn requests_are_answered_or_refused() {
    let kernel = boot();
    let driver = Driver::register();
    let (portal, inbox) = client(kernel, 0);
    let text = attr(TEXT, b"hello\0");
    portal.receive(&request(driver.id(), 0, 5, ECHO, &body(&text)));
    let parts = inbox.take();
    assert_eq!((parts.len(), parts[0].0, parts[0].2), (1, driver.id(), 5));
    assert_eq!(parts[0].3[4..], body(&text));
    portal.receive(&request(driver.id(), sys::NLM_F_ACK, 6, ECHO, &body(&text)));
    assert_eq!(inbox.take().len(), 2, "reply and acknowledgement");
    let refused: [(&[u8], c_int); 8] = [
        (&request(99, 0, 1, ECHO, &body(&text)), libc::ENOENT),
        (&request(driver.id(), 0, 1, 200, &body(&text)), libc::EOPNOTSUPP),
        (&request(driver.id(), sys::NLM_F_DUMP, 1, ECHO, &body(&text)), libc::EOPNOTSUPP),
        (&request(driver.id(), 0, 1, ECHO, &[0; 4]), libc::EINVAL),
        (&request(driver.id(), 0, 1, ECHO, &body(&[])), libc::ENOMSG),
        (&request(driver.id(), 0, 1, ECHO, &body(&attr(TEXT, b"no end"))), libc::EINVAL),
        (&request(driver.id(), 0, 1, ECHO, &body(&attr(NUMBER, &[1, 2]))), libc::EINVAL),
        (&request(driver.id(), 0, 1, ADMIN, &body(&text)), libc::EPERM),
    ];
    for (index, (datagram, errno)) in refused.into_iter().enumerate() {
        portal.receive(datagram);
        assert_eq!(inbox.error(), -errno, "case {index}");
    }
    // Reserved bits of a command that is new enough; strictness about unknown attributes.
    portal.receive(&request(driver.id(), sys::NLM_F_EXCL, 1, STRICT_NEW, &body(&text)));
    assert_eq!(inbox.error(), -libc::EINVAL);
    portal.receive(&request(driver.id(), 0, 1, ECHO, &body(&attr(3, b""))));
    assert_eq!(inbox.error(), -libc::EINVAL);
    let (root, root_inbox) = client(kernel, u64::MAX);
    root.receive(&request(driver.id(), 0, 1, ADMIN, &body(&text)));
    assert_eq!(root_inbox.take()[0].0, driver.id());
    root.receive(&request(driver.id(), 0, 1, DROP_LOCK, &body(&[])));
    assert_eq!(root_inbox.take()[0].0, driver.id());
    // Two in one datagram: both are handled.
    let mut two = request(driver.id(), 0, 1, ECHO, &body(&text));
    two.extend(request(driver.id(), 0, 2, 200, &body(&text)));
    portal.receive(&two);
    let parts = inbox.take();
    assert_eq!((parts[0].2, parts[1].2, u32::from(parts[1].0)), (1, 2, sys::NLMSG_ERROR));
    portal.receive(&vec![0x10; DATAGRAM_MAX + 1]);
    assert_eq!(inbox.error(), -libc::EMSGSIZE);
    // What says that it is longer, or shorter than a header, or is no header at all: refused, with what follows.
    let whole = request(driver.id(), 0, 7, ECHO, &body(&text));
    for (len, sent) in
        [(whole.len() + 1, whole.len()), (15, whole.len()), (whole.len(), 15), (0, 0)]
    {
        let mut datagram = whole.clone();
        datagram[..4].copy_from_slice(&(len as u32).to_ne_bytes());
        datagram.truncate(sent);
        if sent == whole.len() {
            datagram.extend(&whole);
        }
        if len > whole.len() {
            datagram.truncate(whole.len());
        }
        portal.receive(&datagram);
        assert_eq!(inbox.error(), -libc::EINVAL, "{sent} bytes that say they are {len}");
    }
    // Padding behind a message is none.
    portal.receive(&[&whole[..], &[0; 8]].concat());
    assert_eq!(inbox.take().len(), 1);
}

#[test]
fn dumps_wait_for_their_reader() {
    let kernel = boot();
    let driver = Driver::register();
    let (portal, inbox) = client(kernel, 0);
    let dump = request(driver.id(), sys::NLM_F_DUMP, 9, LIST, &body(&[]));
    portal.receive(&dump);
    let parts = inbox.take();
    assert_eq!(parts.len() as i64, OBJECTS + 1);
    assert!(parts.iter().all(|part| part.2 == 9 && u32::from(part.1) & sys::NLM_F_MULTI != 0));
    assert_eq!((u32::from(parts[5].0), &parts[5].3[..]), (sys::NLMSG_DONE, &[0u8; 4][..]));
    let ended = DONE.load(Ordering::Relaxed);
    inbox.is_full.store(true, Ordering::Relaxed);
    portal.receive(&dump);
    assert_eq!(inbox.take().len(), 1, "the first part is always made");
    portal.receive(&dump);
    assert_eq!(inbox.error(), -libc::EBUSY);
    inbox.is_full.store(false, Ordering::Relaxed);
    portal.resume();
    assert_eq!(inbox.take().len() as i64, OBJECTS);
    assert_eq!(DONE.load(Ordering::Relaxed), ended + 1);
    // The client goes in the middle of one dump, the family in the middle of another.
    inbox.is_full.store(true, Ordering::Relaxed);
    portal.receive(&dump);
    drop(portal);
    assert_eq!(DONE.load(Ordering::Relaxed), ended + 2);
    let (other, other_inbox) = client(kernel, 0);
    other_inbox.is_full.store(true, Ordering::Relaxed);
    other.receive(&dump);
    drop(driver);
    assert_eq!(DONE.load(Ordering::Relaxed), ended + 3);
    other_inbox.take();
    other.receive(&dump);
    assert_eq!(other_inbox.error(), -libc::ENOENT);
}

#[test]
fn events_reach_the_members() {
    let kernel = boot();
    let driver = Driver::register();
    let (member, inbox) = client(kernel, 0);
    let (_stranger, other) = client(kernel, 0);
    assert_eq!(member.join_group(0), Err(Errno::EINVAL));
    assert_eq!(member.join_group(100_000), Err(Errno::EINVAL));
    let send = || {
        // SAFETY: our own buffer and family.
        unsafe {
            let skb = alloc_skb(256, 0);
            assert!(!genlmsg_put(skb, 0, 1, driver.0, 0, ECHO).is_null());
            netlink::netlink_broadcast(ptr::null_mut(), skb, 0, driver.group(), 0)
        }
    };
    assert_eq!(send(), -libc::ESRCH);
    member.join_group(driver.group()).unwrap();
    assert_eq!(send(), 0);
    assert_eq!((inbox.take().len(), other.take().len()), (1, 0));
    member.leave_group(driver.group());
    assert_eq!(send(), -libc::ESRCH);
    // SAFETY: a buffer too small for the headers.
    unsafe {
        let skb = alloc_skb(20, 0);
        assert!(genlmsg_put(skb, 0, 1, driver.0, 0, ECHO).is_null());
        kfree_skb(skb);
    }
}

/// Goal: nothing that a client sends does anything but be answered. Method: 20 000 datagrams from a fixed seed: noise,
/// and good requests with flipped bytes and wrong lengths. Checked: every answer is a whole netlink message, and the
/// family still works afterwards.
#[test]
fn garbage_is_harmless() {
    let kernel = boot();
    let driver = Driver::register();
    let (portal, inbox) = client(kernel, 0);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = attr(TEXT, b"hello\0");
    text.extend(attr(NUMBER, &[1, 2, 3, 4]));
    let seeds = [
        request(driver.id(), sys::NLM_F_ACK, 1, ECHO, &body(&text)),
        request(driver.id(), sys::NLM_F_DUMP, 2, LIST, &body(&text)),
        request(16, 0, 3, sys::CTRL_CMD_GETFAMILY as u8, &attr(2, b"unit\0")),
    ];
    for round in 0..20_000u64 {
        let mut datagram = if round % 4 == 0 {
            (0..random() % 96).map(|_| random() as u8).collect()
        } else {
            seeds[(random() % 3) as usize].clone()
        };
        for _ in 0..random() % 4 {
            if !datagram.is_empty() {
                let at = (random() % datagram.len() as u64) as usize;
                datagram[at] = random() as u8;
            }
        }
        if random() % 3 == 0 {
            datagram.truncate((random() % (datagram.len() as u64 + 1)) as usize);
        }
        portal.receive(&datagram);
        inbox.take();
    }
    portal.receive(&request(driver.id(), 0, 5, ECHO, &body(&attr(TEXT, b"alive\0"))));
    assert_eq!(inbox.take()[0].0, driver.id());
}
