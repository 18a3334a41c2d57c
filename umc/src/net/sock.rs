// SPDX-License-Identifier: GPL-2.0-only
//! `struct sock`: one socket of the host, with the members a driver reads and assigns.
//!
//! C header: `include/net/sock.h`, `include/linux/tcp.h` (API of 6.12).
//! Guarantees kept: a member that a driver assigns takes effect at its next operation on the socket; `sk_wmem_queued`
//! falls while nobody sends, so a sender that waits for it to fall makes progress.
//! Differs from Linux: `sk_wmem_queued` counts unacknowledged bytes, exact above a quarter of the send buffer and a
//! bound from above below it; `sk_sndbuf` and `sk_rcvbuf` without their lock bit show the host's automatic sizes.
//! A socket has its watches (`sock_watch`), and these what came for a listening one (`accept`); both act on the socket, so
//! the three know each other.
//! Used by DRBD for: its data and meta sockets (buffer sizes, priority, reuse, timeouts, congestion).

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_long, c_void};
use std::net::IpAddr;
use std::sync::atomic::{
    AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering,
};
use std::sync::{Arc, OnceLock};

use mte::ops::TimerId;
use mte::sim::lock::Mutex;

use crate::errno::{Errno, Result};
use crate::kernel::Kernel;
use crate::latency::Turns;
use crate::skbuff::Skb;
use crate::sock_ahead::Ahead;
use crate::sock_held::Held;
use crate::sock_watch::{Watches, callbacks_written};
use crate::sys;
use crate::wait::WaitQueue;

/// `MAX_SCHEDULE_TIMEOUT`: wait for ever.
pub(crate) const FOREVER: c_long = c_long::MAX;
/// How often `sk_wmem_queued` is brought up to date while the peer has not acknowledged everything.
const REFRESH_NS: u64 = 10_000_000;
/// GFP_KERNEL, the initial `sk_allocation`.
const GFP_KERNEL: u32 = 0xcc0;

/// A member of a socket as it is now. Drivers assign them at any time, so there is no reference to the whole struct.
macro_rules! member {
    ($sock:expr, $name:ident) => {{
        let sk = $sock.sk();
        // SAFETY: a plain member of a socket that is alive.
        unsafe { (&raw const (*sk).$name).read_volatile() }
    }};
}
pub(crate) use member;

/// A socket. The layout begins with the `tcp_sock` that drivers see.
///
/// # Invariants
/// `fd` is open until [`Sock::destroy`].
#[repr(C)]
pub(crate) struct Sock {
    tcp: UnsafeCell<sys::tcp_sock>,
    pub(crate) kernel: &'static Kernel,
    pub(crate) fd: c_int,
    /// What the host was told last.
    sndbuf: AtomicI32,
    rcvbuf: AtomicI32,
    reuse: AtomicU8,
    reuseport: AtomicU8,
    priority: AtomicU32,
    mark: AtomicU32,
    /// How long the host lets a receive wait, in jiffies: [`ASKS`] until it was told.
    patience: AtomicI64,
    /// What is measured of its peer, once somebody wants to know.
    turns: OnceLock<Arc<Turns>>,
    refresh: Mutex<Refresh>,
    pub(crate) watches: Watches,
    /// What was sent and is not at the host yet.
    pub(crate) held: Arc<Held>,
    /// What was received from the host and is not at the driver yet. The innermost lock of a socket.
    pub(crate) ahead: Mutex<Ahead>,
    /// What the driver is shown of the stream by `tcp_read_sock`: kept, since it reads often.
    pub(crate) shown: Mutex<Option<Skb>>,
}

#[derive(Default)]
struct Refresh {
    armed: Option<TimerId>,
    closing: bool,
}

// SAFETY: the members that C shares are touched through raw pointers and atomics; the rest is atomics and mutexes.
unsafe impl Sync for Sock {}
// SAFETY: as above.
unsafe impl Send for Sock {}

impl Sock {
    /// Wraps a descriptor of the host.
    pub(crate) fn new(
        kernel: &'static Kernel,
        fd: c_int,
        family: c_int,
        kind: c_int,
        protocol: c_int,
    ) -> Box<Sock> {
        let sock = Box::new(Sock {
            tcp: UnsafeCell::default(),
            kernel,
            fd,
            sndbuf: AtomicI32::new(0),
            rcvbuf: AtomicI32::new(0),
            reuse: AtomicU8::new(0),
            reuseport: AtomicU8::new(0),
            priority: AtomicU32::new(0),
            mark: AtomicU32::new(0),
            patience: AtomicI64::new(ASKS),
            turns: OnceLock::new(),
            refresh: Mutex::default(),
            watches: Watches::default(),
            held: Arc::default(),
            ahead: Mutex::default(),
            shown: Mutex::default(),
        });
        // SAFETY: nobody else knows the socket yet.
        let sk = unsafe { &mut *sock.sk() };
        sk.sk_net = crate::net::init_net(kernel);
        sk.sk_family = family as u16;
        sk.sk_type = kind as u16;
        sk.sk_protocol = protocol as u16;
        sk.sk_state = sys::TCP_CLOSE as u8;
        sk.sk_use_task_frag = true;
        sk.sk_allocation = GFP_KERNEL;
        (sk.sk_rcvtimeo, sk.sk_sndtimeo, sk.sk_rcvlowat) = (FOREVER, FOREVER, 1);
        sk.sk_sndbuf = sock.host_option(libc::SO_SNDBUF);
        sk.sk_rcvbuf = sock.host_option(libc::SO_RCVBUF);
        sk.sk_state_change = Some(INITIAL.state_change);
        sk.sk_data_ready = Some(INITIAL.data_ready);
        sk.sk_write_space = Some(INITIAL.write_space);
        sk.sk_error_report = Some(INITIAL.error_report);
        sk.sk_callback_lock.umc_written = Some(callbacks_written);
        sock
    }

    /// A socket that a listener accepted: it inherits what Linux copies from the listener.
    pub(crate) fn accepted(listener: &Sock, fd: c_int) -> Box<Sock> {
        let sock = Sock::new(
            listener.kernel,
            fd,
            c_int::from(member!(listener, sk_family)),
            c_int::from(member!(listener, sk_type)),
            c_int::from(member!(listener, sk_protocol)),
        );
        let userlocks = member!(listener, sk_userlocks);
        // SAFETY: nobody else knows the socket yet.
        let sk = unsafe { &mut *sock.sk() };
        sk.sk_reuse = member!(listener, sk_reuse);
        sk.sk_reuseport = member!(listener, sk_reuseport);
        sk.sk_userlocks = userlocks & (sys::SOCK_SNDBUF_LOCK | sys::SOCK_RCVBUF_LOCK) as u8;
        sk.sk_use_task_frag = member!(listener, sk_use_task_frag);
        sk.sk_priority = member!(listener, sk_priority);
        sk.sk_mark = member!(listener, sk_mark);
        sk.sk_allocation = member!(listener, sk_allocation);
        sk.sk_rcvtimeo = member!(listener, sk_rcvtimeo);
        sk.sk_sndtimeo = member!(listener, sk_sndtimeo);
        sk.sk_user_data = member!(listener, sk_user_data);
        sk.sk_state_change = member!(listener, sk_state_change);
        sk.sk_data_ready = member!(listener, sk_data_ready);
        sk.sk_write_space = member!(listener, sk_write_space);
        sk.sk_error_report = member!(listener, sk_error_report);
        // The host's socket inherited its options from the listener's as well.
        if userlocks & sys::SOCK_SNDBUF_LOCK as u8 != 0 {
            sk.sk_sndbuf = member!(listener, sk_sndbuf);
            sock.sndbuf.store(listener.sndbuf.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        if userlocks & sys::SOCK_RCVBUF_LOCK as u8 != 0 {
            sk.sk_rcvbuf = member!(listener, sk_rcvbuf);
            sock.rcvbuf.store(listener.rcvbuf.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        sock.reuse.store(listener.reuse.load(Ordering::Relaxed), Ordering::Relaxed);
        sock.set_state(sys::TCP_ESTABLISHED);
        sock
    }

    /// The socket behind a driver's pointer.
    ///
    /// # Safety
    /// `sk` came from this module and was not released.
    pub(crate) unsafe fn from_raw<'a>(sk: *mut sys::sock) -> &'a Sock {
        // SAFETY: every Internet `struct sock` is the start of a `Sock`; alive by the caller's contract.
        unsafe { &*sk.cast::<Sock>() }
    }

    /// What drivers see.
    pub(crate) fn sk(&self) -> *mut sys::sock {
        self.tcp.get().cast()
    }

    fn tcp(&self) -> *mut sys::tcp_sock {
        self.tcp.get()
    }

    /// Whether the socket is a stream: only then short transfers are completed.
    pub(crate) fn is_stream(&self) -> bool {
        // SAFETY: written once, before anybody else saw the socket.
        unsafe { (*self.sk()).sk_type == sys::SOCK_STREAM as u16 }
    }

    /// The bits of `socket->flags`, or None for a socket that no `struct socket` belongs to yet.
    fn socket_flags(&self) -> Option<&AtomicU64> {
        // SAFETY: a pointer member, atomically read; a socket outlives the calls on it by the caller's contract.
        let socket = unsafe { AtomicPtr::from_ptr(&raw mut (*self.sk()).sk_socket) };
        let socket = socket.load(Ordering::Acquire);
        // SAFETY: as above; drivers use atomic bit operations on the word too.
        (!socket.is_null()).then(|| unsafe { AtomicU64::from_ptr(&raw mut (*socket).flags) })
    }

    /// Notes whether a sender lacks room (`SOCK_NOSPACE`).
    pub(crate) fn set_nospace(&self, lacks: bool) {
        if let Some(flags) = self.socket_flags() {
            let bit = 1u64 << sys::SOCK_NOSPACE;
            if lacks {
                flags.fetch_or(bit, Ordering::AcqRel);
            } else if flags.load(Ordering::Relaxed) & bit != 0 {
                flags.fetch_and(!bit, Ordering::AcqRel);
            }
        }
    }

    /// `sk_state`.
    pub(crate) fn state(&self) -> u32 {
        // SAFETY: one byte, shared with C.
        u32::from(
            unsafe { AtomicU8::from_ptr(&raw mut (*self.sk()).sk_state) }.load(Ordering::Acquire),
        )
    }

    /// Sets `sk_state`.
    pub(crate) fn set_state(&self, state: u32) {
        // SAFETY: as above.
        unsafe { AtomicU8::from_ptr(&raw mut (*self.sk()).sk_state) }
            .store(state as u8, Ordering::Release);
    }

    /// The state of the host's stream, which says what the peer did; None when the host does not tell.
    pub(crate) fn host_state(&self) -> Option<u32> {
        let mut info = [0u8; 8];
        let mut len = info.len() as u32;
        let ops = self.kernel.ops;
        // SAFETY: the buffer lives through the call.
        let ret = unsafe {
            (ops.getsockopt)(
                ops.ctx,
                self.fd,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        // The first byte of the host's TCP information is the state.
        (ret >= 0).then_some(u32::from(info[0]))
    }

    /// Remembers an error for the next call that has nothing better to report.
    pub(crate) fn set_error(&self, error: Errno) {
        // SAFETY: one int, shared with C.
        unsafe { AtomicI32::from_ptr(&raw mut (*self.sk()).sk_err) }
            .store(error.raw(), Ordering::Release);
    }

    /// Takes the remembered error.
    pub(crate) fn take_error(&self) -> Option<Errno> {
        // SAFETY: as above.
        let slot = unsafe { AtomicI32::from_ptr(&raw mut (*self.sk()).sk_err) };
        if slot.load(Ordering::Relaxed) == 0 {
            return None;
        }
        match slot.swap(0, Ordering::AcqRel) {
            0 => None,
            error => Some(Errno::new(error)),
        }
    }

    fn host_option(&self, name: c_int) -> c_int {
        self.kernel.ops.getsockopt_int(self.fd, libc::SOL_SOCKET, name).unwrap_or(0)
    }

    /// Tells the host about members that the driver assigned since the last time.
    pub(crate) fn apply_members(&self) {
        // A driver that assigns one while a call is on its way is heard at the next.
        let set =
            |name, value| self.kernel.ops.setsockopt_int(self.fd, libc::SOL_SOCKET, name, value);
        let userlocks = member!(self, sk_userlocks);
        if userlocks & (sys::SOCK_SNDBUF_LOCK | sys::SOCK_RCVBUF_LOCK) as u8 != 0 {
            self.apply_buffers(userlocks);
        }
        let reuse = member!(self, sk_reuse);
        if reuse != self.reuse.load(Ordering::Relaxed) {
            self.reuse.store(reuse, Ordering::Relaxed);
            set(libc::SO_REUSEADDR, c_int::from(reuse != 0));
        }
        let reuseport = member!(self, sk_reuseport);
        if reuseport != self.reuseport.load(Ordering::Relaxed) {
            self.reuseport.store(reuseport, Ordering::Relaxed);
            set(libc::SO_REUSEPORT, c_int::from(reuseport != 0));
        }
        // A priority or mark that the host refuses to this user stays a wish: data flows all the same.
        let priority = member!(self, sk_priority);
        if priority != self.priority.load(Ordering::Relaxed) {
            self.priority.store(priority, Ordering::Relaxed);
            set(libc::SO_PRIORITY, priority as c_int);
        }
        let mark = member!(self, sk_mark);
        if mark != self.mark.load(Ordering::Relaxed) {
            self.mark.store(mark, Ordering::Relaxed);
            set(libc::SO_MARK, mark as c_int);
        }
    }

    /// The host doubles what it is told, to have room for its overhead. A kernel's member is the doubled value.
    fn apply_buffers(&self, userlocks: u8) {
        let locked = |bit: u32| userlocks & bit as u8 != 0;
        let set = |force, name, value: c_int| {
            let ops = self.kernel.ops;
            if ops.setsockopt_int(self.fd, libc::SOL_SOCKET, force, value / 2) < 0 {
                ops.setsockopt_int(self.fd, libc::SOL_SOCKET, name, value / 2);
            }
        };
        let (sndbuf, rcvbuf) = (member!(self, sk_sndbuf), member!(self, sk_rcvbuf));
        if locked(sys::SOCK_SNDBUF_LOCK) && self.sndbuf.swap(sndbuf, Ordering::Relaxed) != sndbuf {
            set(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, sndbuf);
        }
        if locked(sys::SOCK_RCVBUF_LOCK) && self.rcvbuf.swap(rcvbuf, Ordering::Relaxed) != rcvbuf {
            set(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, rcvbuf);
        }
    }

    /// How long its peer takes, when somebody wants to know: with the time.
    fn turns(&self) -> Option<(&Turns, u64)> {
        let now = self.kernel.latency.now(self.kernel)?;
        let new = || self.kernel.latency.turns(&self.peer_address());
        Some((self.turns.get_or_init(new), now))
    }

    /// The peer's address, or "unknown" where it has none or is gone.
    fn peer_address(&self) -> String {
        let mut name = [0u8; size_of::<sys::__kernel_sockaddr_storage>()];
        let got = self.kernel.ops.getpeername(self.fd, &mut name);
        let family = c_int::from(u16::from_ne_bytes([name[0], name[1]]));
        let ip = match family {
            libc::AF_INET => name[4..].first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
            libc::AF_INET6 => name[8..].first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
            _ => None,
        };
        ip.filter(|_| got >= 0)
            .map_or_else(|| "unknown".to_owned(), |ip| ip.to_canonical().to_string())
    }

    /// Counts bytes that the host took.
    pub(crate) fn note_sent(&'static self, bytes: usize) {
        if let Some((turns, now)) = self.turns().filter(|_| bytes > 0) {
            turns.sent(now);
        }
        // SAFETY: ints shared with C.
        let (queued, written) = unsafe {
            (
                AtomicI32::from_ptr(&raw mut (*self.sk()).sk_wmem_queued),
                AtomicU32::from_ptr(&raw mut (*self.tcp()).write_seq),
            )
        };
        written.fetch_add(bytes as u32, Ordering::Relaxed);
        let queued = queued.fetch_add(bytes as i32, Ordering::Relaxed).saturating_add(bytes as i32);
        if queued > member!(self, sk_sndbuf) / 4 && self.refresh_queued() > 0 {
            self.keep_refreshing();
        }
    }

    /// Counts bytes that the driver took.
    pub(crate) fn note_received(&self, bytes: usize) {
        if let Some((turns, now)) = self.turns().filter(|_| bytes > 0) {
            turns.came(now);
        }
        // SAFETY: an int shared with C.
        let copied = unsafe { AtomicU32::from_ptr(&raw mut (*self.tcp()).copied_seq) };
        // First what came, then what was taken of it: nobody may see less than nothing unread.
        self.note_arrived(copied.load(Ordering::Relaxed).wrapping_add(bytes as u32));
        copied.fetch_add(bytes as u32, Ordering::Release);
    }

    /// Notes that the stream has arrived up to `end`: `rcv_nxt` never goes back.
    pub(crate) fn note_arrived(&self, end: u32) {
        // SAFETY: an int shared with C.
        let arrived = unsafe { AtomicU32::from_ptr(&raw mut (*self.tcp()).rcv_nxt) };
        let is_later = |now: u32| end.wrapping_sub(now).cast_signed() > 0;
        let _ = arrived
            .fetch_update(Ordering::Release, Ordering::Relaxed, |now| is_later(now).then_some(end));
    }

    /// How many bytes of the stream were received, modulo 2^32.
    pub(crate) fn received(&self) -> u32 {
        // SAFETY: an int shared with C.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.tcp()).copied_seq) }.load(Ordering::SeqCst)
    }

    /// Asks the host what the peer has not acknowledged, and what waits to be read.
    pub(crate) fn refresh_queued(&self) -> i32 {
        let out = self.kernel.ops.queued(self.fd, libc::TIOCOUTQ as c_int).max(0);
        let out = out.saturating_add(self.held.len() as i32);
        self.end_of_stream();
        let (sk, tcp) = (self.sk(), self.tcp());
        // SAFETY: ints shared with C, and with whoever sends meanwhile.
        let (written, acknowledged, queued) = unsafe {
            (
                AtomicU32::from_ptr(&raw mut (*tcp).write_seq),
                AtomicU32::from_ptr(&raw mut (*tcp).snd_una),
                AtomicI32::from_ptr(&raw mut (*sk).sk_wmem_queued),
            )
        };
        let una = written.load(Ordering::Relaxed).wrapping_sub(out as u32);
        acknowledged.store(una, Ordering::Relaxed);
        queued.store(out, Ordering::Relaxed);
        if member!(self, sk_userlocks) & sys::SOCK_SNDBUF_LOCK as u8 == 0 {
            // SAFETY: as above.
            let sndbuf = unsafe { AtomicI32::from_ptr(&raw mut (*sk).sk_sndbuf) };
            sndbuf.store(self.host_option(libc::SO_SNDBUF), Ordering::Relaxed);
        }
        if out <= member!(self, sk_sndbuf) / 3 {
            self.set_nospace(false);
        }
        out
    }

    /// Whether a sender found no room since the last time there was some.
    pub(crate) fn lacks_room(&self) -> bool {
        self.socket_flags()
            .is_some_and(|flags| flags.load(Ordering::Acquire) & 1 << sys::SOCK_NOSPACE != 0)
    }

    /// Sees to it that what is held back is sent soon, and that the members follow the host.
    pub(crate) fn keep_refreshing(&'static self) {
        let mut refresh = self.refresh.lock();
        if refresh.armed.is_none() && !refresh.closing {
            self.arm(&mut refresh);
        }
    }

    fn arm(&'static self, refresh: &mut Refresh) {
        let at = self.kernel.ops.now_ns() + REFRESH_NS;
        let arg = std::ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: `destroy` cancels the timer, and waits for it, before the socket goes.
        refresh.armed = Some(unsafe { self.kernel.ops.timer_arm(at, refresh_tick, arg) });
    }

    /// TCP_CORK. What is held goes when it is switched off.
    pub(crate) fn set_cork(&self, on: bool) {
        self.held.is_corked.store(on, Ordering::Relaxed);
        if !on && self.held.len() > 0 {
            self.held.flush();
        }
    }

    /// Makes the close reset the connection.
    pub(crate) fn reset_on_close(&self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let (ops, len) = (self.kernel.ops, size_of::<libc::linger>() as u32);
        let value = (&raw const linger).cast();
        // SAFETY: the value lives through the call.
        unsafe {
            (ops.setsockopt)(ops.ctx, self.fd, libc::SOL_SOCKET, libc::SO_LINGER, value, len)
        };
    }

    /// Closes the host's socket and frees this one.
    ///
    /// # Safety
    /// Nobody else uses the socket, and nobody will.
    pub(crate) unsafe fn destroy(sock: *mut Sock) {
        {
            // SAFETY: alive until the end of this function.
            let sock: &'static Sock = unsafe { &*sock };
            let armed = {
                let mut refresh = sock.refresh.lock();
                refresh.closing = true;
                refresh.armed.take()
            };
            if let Some(timer) = armed {
                sock.kernel.ops.timer_cancel(timer);
            }
            sock.stop_listening();
            sock.held.close();
            sock.unwatch();
            sock.kernel.ops.close(sock.fd);
        }
        // SAFETY: it came from a box, and no timer or watch knows it any more.
        drop(unsafe { Box::from_raw(sock) });
    }
}

/// Brings the members of a socket up to date that nobody sends on.
///
/// `armed` keeps this timer's id until the end, so that `destroy` finds it and waits.
unsafe extern "C" fn refresh_tick(arg: *mut c_void) {
    // SAFETY: the timer's argument is the socket, and `destroy` waits for this callback.
    let sock: &'static Sock = unsafe { &*arg.cast::<Sock>() };
    let mut refresh = sock.refresh.lock();
    if refresh.closing {
        return;
    }
    if sock.held.len() > 0 {
        // Also what the watch is to send, which may have found no memory, or a stream that broke.
        sock.held.flush();
    }
    if sock.refresh_queued() > 0 {
        sock.arm(&mut refresh);
    } else {
        refresh.armed = None;
    }
}

/// How long a call may wait.
pub(crate) struct Patience {
    ops: &'static mte::Ops,
    deadline_ns: Option<u64>,
}

impl Patience {
    /// From a `sk_rcvtimeo` or `sk_sndtimeo`, in jiffies.
    pub(crate) fn new(sock: &Sock, timeo: c_long) -> Patience {
        let ops = sock.kernel.ops;
        let deadline_ns = (timeo != FOREVER).then(|| {
            let ns = (timeo.max(0) as u64).saturating_mul(TICK_NS);
            if ns == 0 { 0 } else { ops.now_ns().saturating_add(ns) }
        });
        Patience { ops, deadline_ns }
    }

    /// What is left, in jiffies; 0 = nothing.
    pub(crate) fn left(&self) -> c_long {
        match self.deadline_ns {
            None => FOREVER,
            Some(0) => 0,
            Some(at) => at.saturating_sub(self.ops.now_ns()).div_ceil(TICK_NS) as c_long,
        }
    }

    /// Waits until the socket is ready for `events`: `EAGAIN` when patience ran out, `ERESTARTSYS` or `EINTR` for a
    /// signal, as the kernel's `sock_intr_errno` chooses.
    pub(crate) fn wait(&self, sock: &Sock, events: i16) -> Result<()> {
        let left = self.left();
        if left == 0 {
            return Err(Errno::EAGAIN);
        }
        match crate::sched::sleep_on_fd(sock.fd, events as u32, left) {
            Err(Errno::ERESTARTSYS) if self.deadline_ns.is_some() => Err(Errno::EINTR),
            other => other,
        }
    }

    /// Waits on `queue` until `cond` is true; errors as for [`Patience::wait`].
    pub(crate) fn wait_until(
        &self,
        queue: &WaitQueue,
        mut cond: impl FnMut() -> bool,
    ) -> Result<()> {
        if self.deadline_ns == Some(0) {
            return if cond() { Ok(()) } else { Err(Errno::EAGAIN) };
        }
        let deadline_ns = self.deadline_ns.unwrap_or(mte::NEVER);
        match queue.wait_in(sys::TASK_INTERRUPTIBLE, deadline_ns, cond) {
            Err(Errno::ETIME) => Err(Errno::EAGAIN),
            Err(Errno::ERESTARTSYS) if self.deadline_ns.is_some() => Err(Errno::EINTR),
            other => other,
        }
    }
}

/// The host has not been told yet how long a receive waits.
const ASKS: i64 = 0;
/// It cannot be told: another process has the socket, too.
const SHARED: i64 = -1;

impl Sock {
    /// Another process has the socket, too: what belongs to both is left alone.
    pub(crate) fn note_shared(&self) {
        self.patience.store(SHARED, Ordering::Relaxed);
    }

    /// Whether the host lets a receive wait for so many jiffies; tells it to.
    pub(crate) fn has_patience(&self, timeo: c_long) -> bool {
        let known = self.patience.load(Ordering::Relaxed);
        if known == timeo {
            return true;
        }
        let ns = match timeo {
            FOREVER => mte::NEVER,
            timeo => (timeo.max(1) as u64).saturating_mul(TICK_NS),
        };
        if known == SHARED || self.kernel.ops.recv_patience(self.fd, ns) != 0 {
            return false;
        }
        self.patience.store(timeo, Ordering::Relaxed);
        true
    }
}

/// Nanoseconds of a jiffy.
const TICK_NS: u64 = 1_000_000_000 / sys::HZ as u64;

type Callback = unsafe extern "C" fn(*mut sys::sock);

/// The callbacks of a new socket.
///
/// They are told from a driver's by their addresses, and so are read from here: a function may be compiled in several
/// places, and has an address in each.
pub(crate) struct Initial {
    pub(crate) state_change: Callback,
    pub(crate) data_ready: Callback,
    pub(crate) write_space: Callback,
    pub(crate) error_report: Callback,
}

pub(crate) static INITIAL: Initial = Initial {
    state_change: sock_def_wakeup,
    data_ready: sock_def_readable,
    write_space: sock_def_write_space,
    error_report: sock_def_error_report,
};

/// The initial `sk_state_change`.
///
/// It has nothing to wake: whoever sleeps on a socket here waits for the host's descriptor, which wakes them itself.
unsafe extern "C" fn sock_def_wakeup(_sk: *mut sys::sock) {}

/// The initial `sk_write_space`; nothing to wake, as for [`sock_def_wakeup`].
unsafe extern "C" fn sock_def_write_space(_sk: *mut sys::sock) {}

/// The initial `sk_error_report`; nothing to wake, as for [`sock_def_wakeup`].
unsafe extern "C" fn sock_def_error_report(_sk: *mut sys::sock) {}

/// The initial `sk_data_ready`; nothing to wake, as for [`sock_def_wakeup`].
///
/// # Safety
/// None.
/// # Context
/// Any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sock_def_readable(_sk: *mut sys::sock) {}
