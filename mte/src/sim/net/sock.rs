// SPDX-License-Identifier: GPL-2.0-only
//! A socket: an end of a connection, a listener, or neither yet.
//!
//! An end of a connection outlives its descriptor until the peer has everything, as in life.

use crate::ops::NEVER;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_int;
use std::net::SocketAddr;

use super::super::HostId;
use super::super::state::{Key, State};
use crate::ops::{FdEvents, Wake};

pub(in crate::sim) type SockId = u64;

/// Buffers of a new socket.
const BUFFER_BYTES: usize = 512 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No connection, yet or any more.
    Closed,
    Listening,
    /// Waits for the answer of a listener.
    SynSent,
    /// A listener's child that waits for the last packet of the set-up.
    SynReceived,
    Open,
}

/// What goes out.
#[derive(Default)]
pub(super) struct Tx {
    /// Bytes that are not acknowledged yet; the first one has number `una`.
    pub data: VecDeque<u8>,
    pub una: u64,
    /// Number of the first byte that was not sent yet.
    pub next: u64,
    /// The peer has room for bytes with smaller numbers.
    pub edge: u64,
    /// No more data comes.
    pub is_shut: bool,
    pub fin_sent: bool,
    pub fin_acked: bool,
    /// Time-outs in a row.
    pub retries: u32,
    /// Since when the peer owes an answer.
    pub waits_since: Option<u64>,
    pub timer: Option<Key>,
    /// When the last segment arrives: the next one does not overtake it.
    pub last_arrival: u64,
}

impl Tx {
    /// Number of the first byte that was not given to the socket yet.
    pub fn end(&self) -> u64 {
        self.una + self.data.len() as u64
    }

    /// Whether the peer has not acknowledged everything that was sent.
    pub fn is_outstanding(&self) -> bool {
        self.next > self.una || (self.fin_sent && !self.fin_acked)
    }

    /// Whether something is left to be sent.
    pub fn has_unsent(&self) -> bool {
        self.next < self.end() || (self.is_shut && !self.fin_sent)
    }
}

/// What came in.
#[derive(Default)]
pub(super) struct Rx {
    pub data: VecDeque<u8>,
    /// Number of the byte that comes next.
    pub next: u64,
    /// The peer sends no more.
    pub has_ended: bool,
    /// The reader wants no more.
    pub is_shut: bool,
    /// The room that the peer was told about last: up to this number.
    pub told: u64,
}

pub(super) struct Sock {
    pub host: HostId,
    pub fd: Option<c_int>,
    pub family: c_int,
    pub phase: Phase,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    pub peer: Option<SockId>,
    pub peer_host: HostId,
    /// For SO_ERROR and the next call.
    pub error: c_int,
    /// A connection was set up once.
    pub was_open: bool,
    pub tx: Tx,
    pub rx: Rx,
    // Of a listener.
    pub backlog: usize,
    pub incoming: VecDeque<SockId>,
    /// Of a child that is not accepted yet.
    pub listener: Option<SockId>,
    // Options that matter here; the rest is only remembered.
    pub sndbuf: usize,
    pub rcvbuf: usize,
    pub low_water: usize,
    pub may_reuse: bool,
    pub resets_on_close: bool,
    pub user_timeout_ns: u64,
    /// How long a receive waits.
    pub patience_ns: u64,
    pub options: BTreeMap<(c_int, c_int), Vec<u8>>,
}

impl Sock {
    pub fn new(host: HostId, family: c_int) -> Sock {
        Sock {
            host,
            fd: None,
            family,
            phase: Phase::Closed,
            local: None,
            remote: None,
            peer: None,
            peer_host: 0,
            error: 0,
            was_open: false,
            tx: Tx::default(),
            rx: Rx::default(),
            backlog: 0,
            incoming: VecDeque::new(),
            listener: None,
            sndbuf: BUFFER_BYTES,
            rcvbuf: BUFFER_BYTES,
            low_water: 1,
            may_reuse: false,
            resets_on_close: false,
            user_timeout_ns: 0,
            patience_ns: NEVER,
            options: BTreeMap::new(),
        }
    }

    /// Whether this is an end of a connection between the hosts that counts: of both hosts' ends the first one's.
    pub fn joins(&self, a: HostId, b: HostId) -> bool {
        self.phase == Phase::Open && self.host == a && self.peer_host == b
    }

    /// Takes the error that waits to be reported: a negative errno or 0.
    pub fn take_error(&mut self) -> c_int {
        -std::mem::take(&mut self.error)
    }

    /// Room in the send buffer.
    pub fn room(&self) -> usize {
        self.sndbuf.saturating_sub(self.tx.data.len())
    }

    /// Up to which number the receive buffer has room. What was promised once stays so.
    pub fn window_edge(&self) -> u64 {
        let room = self.rcvbuf.saturating_sub(self.rx.data.len()) as u64;
        (self.rx.next + room).max(self.rx.told)
    }

    /// The poll(2) bits.
    fn poll(&self) -> c_int {
        let mut bits = if self.error != 0 { libc::POLLERR } else { 0 };
        match self.phase {
            Phase::Listening if self.incoming.is_empty() => return i32::from(bits),
            Phase::Listening => return i32::from(bits | libc::POLLIN | libc::POLLRDNORM),
            Phase::SynSent | Phase::SynReceived => return i32::from(bits),
            Phase::Closed if !self.was_open && self.error == 0 => {
                return i32::from(bits | libc::POLLOUT | libc::POLLWRNORM | libc::POLLHUP);
            }
            Phase::Closed | Phase::Open => {}
        }
        let is_over = self.phase == Phase::Closed;
        let ends_in = is_over || self.rx.has_ended || self.rx.is_shut;
        let ends_out = is_over || self.tx.is_shut;
        if ends_in || self.rx.data.len() >= self.low_water.clamp(1, self.rcvbuf.max(1)) {
            bits |= libc::POLLIN | libc::POLLRDNORM;
        }
        if ends_in {
            bits |= libc::POLLRDHUP;
        }
        // As Linux: writable again when a third of the buffer is free.
        if ends_out || self.room() > 0 && self.room() >= self.tx.data.len() / 2 {
            bits |= libc::POLLOUT | libc::POLLWRNORM;
        }
        if ends_in && ends_out {
            bits |= libc::POLLHUP;
        }
        i32::from(bits)
    }

    /// The state as TCP_INFO shows it.
    pub fn tcp_state(&self) -> u8 {
        const ESTABLISHED: u8 = 1;
        const SYN_SENT: u8 = 2;
        const SYN_RECV: u8 = 3;
        const FIN_WAIT1: u8 = 4;
        const FIN_WAIT2: u8 = 5;
        const TIME_WAIT: u8 = 6;
        const CLOSE: u8 = 7;
        const CLOSE_WAIT: u8 = 8;
        const LAST_ACK: u8 = 9;
        const LISTEN: u8 = 10;
        match (self.phase, self.tx.is_shut, self.tx.fin_acked, self.rx.has_ended) {
            (Phase::Closed, ..) => CLOSE,
            (Phase::Listening, ..) => LISTEN,
            (Phase::SynSent, ..) => SYN_SENT,
            (Phase::SynReceived, ..) => SYN_RECV,
            (Phase::Open, false, _, false) => ESTABLISHED,
            (Phase::Open, false, _, true) => CLOSE_WAIT,
            (Phase::Open, true, false, false) => FIN_WAIT1,
            (Phase::Open, true, true, false) => FIN_WAIT2,
            (Phase::Open, true, false, true) => LAST_ACK,
            (Phase::Open, true, true, true) => TIME_WAIT,
        }
    }
}

impl State {
    pub(super) fn sock(&mut self, id: SockId) -> &mut Sock {
        self.net.socks.get_mut(&id).expect("a socket of the network")
    }

    /// The socket of a descriptor.
    pub(super) fn sock_of(&mut self, fd: c_int) -> Result<(SockId, &mut Sock), c_int> {
        let id = *self.net.fds.get(&fd).ok_or(-libc::EBADF)?;
        Ok((id, self.sock(id)))
    }

    /// Gives a socket a descriptor.
    pub(super) fn open_fd(&mut self, id: SockId) -> c_int {
        self.net.last_fd += 1;
        let fd = self.net.last_fd;
        self.net.fds.insert(fd, id);
        self.sock(id).fd = Some(fd);
        fd
    }

    /// What of `events` a descriptor is ready for, and what is always told: errors and the end.
    pub fn ready_events(&self, fd: c_int, events: FdEvents) -> FdEvents {
        let always = libc::POLLERR | libc::POLLHUP;
        match self.net.fds.get(&fd).and_then(|id| self.net.socks.get(id)) {
            Some(sock) => sock.poll() as FdEvents & (events | always as FdEvents),
            None => libc::POLLNVAL as FdEvents,
        }
    }

    /// A socket changed: whoever waits for it is told.
    pub(super) fn sock_changed(&mut self, id: SockId) {
        if let Some(fd) = self.net.socks.get(&id).and_then(|sock| sock.fd) {
            self.fd_changed(fd);
        }
    }

    pub(super) fn fd_changed(&mut self, fd: c_int) {
        for id in self.fd_waiters.get(&fd).cloned().unwrap_or_default() {
            if let super::super::state::Status::Waits(super::super::state::Wait::Fd {
                events, ..
            }) = self.task(id).status
                && self.ready_events(fd, events) != 0
            {
                self.wake(id, Wake::Ready);
            }
        }
        self.queue_watches(fd);
    }

    pub fn describe_fd(&self, fd: c_int) -> String {
        let Some(sock) = self.net.fds.get(&fd).and_then(|id| self.net.socks.get(id)) else {
            return "closed".into();
        };
        let show = |addr: Option<SocketAddr>| addr.map_or("?".into(), |addr| addr.to_string());
        let phase = match sock.phase {
            Phase::Closed => "closed",
            Phase::Listening => return format!("listening at {}", show(sock.local)),
            Phase::SynSent => "connecting",
            Phase::SynReceived => "being accepted",
            Phase::Open => "connected",
        };
        format!("{phase}, {} to {}", show(sock.local), show(sock.remote))
    }
}
