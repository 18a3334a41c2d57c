// SPDX-License-Identifier: GPL-2.0-only
//! Data on a connection that is set up.
//!
//! Bytes are numbered from 0; the end of the stream is the number after the last byte. The receiver takes what is next
//! and drops what is not; the sender begins again at the first byte that was not acknowledged, with one segment, and
//! goes on when that was.

use std::collections::VecDeque;
use std::ffi::c_int;

use super::super::state::{Event, State};
use super::sock::{Phase, SockId};
use super::wire::{NetEvent, Packet, RTO_NS};

/// Data of a segment at most.
const SEGMENT_BYTES: usize = 16 * 1024;
/// One segment in so many is cut short, so that a reader sees every boundary.
const CUT_ONE_IN: u32 = 8;
/// Delay between two repetitions at most.
const RTO_MAX_NS: u64 = 120_000_000_000;
/// A peer that owes an answer for so long is given up, unless TCP_USER_TIMEOUT says otherwise.
const GIVE_UP_NS: u64 = 924_600_000_000;
/// How long a closed end is kept for its peer.
const LINGER_NS: u64 = 60_000_000_000;

fn copy_range(data: &VecDeque<u8>, start: usize, len: usize) -> Box<[u8]> {
    let (front, back) = data.as_slices();
    let mut bytes = Vec::with_capacity(len);
    if start < front.len() {
        bytes.extend_from_slice(&front[start..front.len().min(start + len)]);
    }
    let rest = len - bytes.len();
    let start = start.saturating_sub(front.len());
    bytes.extend_from_slice(&back[start..start + rest]);
    bytes.into_boxed_slice()
}

impl State {
    pub(super) fn send_ack(&mut self, id: SockId) {
        let (ack, edge) = self.promise(id);
        self.send_to_peer(id, Packet::Ack { ack, edge });
    }

    /// What a packet of this end tells its peer: what came, and how much may come.
    fn promise(&mut self, id: SockId) -> (u64, u64) {
        let sock = self.sock(id);
        sock.rx.told = sock.window_edge();
        (sock.rx.next + u64::from(sock.rx.has_ended), sock.rx.told)
    }

    /// Sends one segment from the first byte that was not sent; `may_probe`: even without data. False: nothing to do.
    fn send_segment(&mut self, id: SockId, may_probe: bool) -> bool {
        let cut = self.net.rng.one_in(CUT_ONE_IN);
        let cut =
            if cut { self.net.rng.below(SEGMENT_BYTES as u64) as usize + 1 } else { SEGMENT_BYTES };
        let tx = &mut self.sock(id).tx;
        let seq = tx.next;
        let len = (tx.end().min(tx.edge).saturating_sub(seq) as usize).min(cut);
        let is_last = tx.is_shut && !tx.fin_sent && seq + len as u64 == tx.end();
        if len == 0 && !is_last && !may_probe {
            return false;
        }
        let bytes = copy_range(&tx.data, (seq - tx.una) as usize, len);
        tx.next += len as u64;
        tx.fin_sent |= is_last;
        let (ack, edge) = self.promise(id);
        let arrival = self.send_to_peer(id, Packet::Data { seq, bytes, is_last, ack, edge });
        self.set_timer(id, arrival);
        true
    }

    /// Sends what the peer has room for.
    pub(super) fn pump(&mut self, id: SockId) {
        let Some(sock) = self.net.socks.get(&id).filter(|sock| sock.phase == Phase::Open) else {
            return;
        };
        // After a time-out one segment is on its way; its acknowledgement goes on.
        if sock.tx.retries > 0 && sock.tx.is_outstanding() {
            return;
        }
        while self.send_segment(id, false) {}
        let tx = &self.sock(id).tx;
        if tx.has_unsent() && !tx.is_outstanding() && tx.timer.is_none() {
            // The peer has no room. Should the news that it has some be lost, ask.
            let now = self.now;
            self.set_timer(id, now);
        }
    }

    fn stop_timer(&mut self, id: SockId) {
        if let Some(key) = self.sock(id).tx.timer.take() {
            self.events.remove(&key);
        }
    }

    /// Waits for the answer to something that arrives at `arrival`.
    fn set_timer(&mut self, id: SockId, arrival: u64) {
        self.stop_timer(id);
        let now = self.now;
        let sock = self.sock(id);
        let waits_since = *sock.tx.waits_since.get_or_insert(now);
        let limit = match sock.user_timeout_ns {
            0 => u64::MAX,
            limit => (waits_since + limit).max(now),
        };
        let rto = (RTO_NS << sock.tx.retries.min(16)).min(RTO_MAX_NS);
        let (from, to) = (sock.host, sock.peer_host);
        let at = (self.answer_by(arrival, from, to) + rto).min(limit);
        let key = self.schedule(at, Event::Net(NetEvent::SendAgain(id)));
        self.sock(id).tx.timer = Some(key);
    }

    /// No answer came in time.
    pub(super) fn send_again(&mut self, id: SockId) {
        let now = self.now;
        let Some(sock) = self.net.socks.get_mut(&id) else { return };
        sock.tx.timer = None;
        if sock.phase != Phase::Open {
            return self.repeat_setup(id);
        }
        let limit = if sock.user_timeout_ns == 0 { GIVE_UP_NS } else { sock.user_timeout_ns };
        if now - sock.tx.waits_since.unwrap_or(now) >= limit {
            return self.broken(id, libc::ETIMEDOUT);
        }
        sock.tx.retries += 1;
        if sock.tx.is_outstanding() {
            sock.tx.next = sock.tx.una;
            sock.tx.fin_sent = sock.tx.fin_acked;
        }
        self.send_segment(id, true);
    }

    /// The peer has everything before `ack`, and room up to `edge`.
    pub(super) fn ack_arrived(&mut self, id: SockId, ack: u64, edge: u64) {
        let tx = &mut self.sock(id).tx;
        let end = tx.end();
        let done = ack.min(end);
        let is_news = ack > tx.una + u64::from(tx.fin_acked) || edge > tx.edge;
        if done > tx.una {
            tx.data.drain(..(done - tx.una) as usize);
            tx.una = done;
            tx.next = tx.next.max(done);
        }
        if tx.is_shut && ack > end && !tx.fin_acked {
            (tx.fin_sent, tx.fin_acked) = (true, true);
        }
        tx.edge = tx.edge.max(edge);
        if is_news {
            tx.retries = 0;
        }
        // A peer that only has no room is alive.
        if is_news || !tx.is_outstanding() {
            tx.waits_since = None;
        }
        if !tx.is_outstanding() && (is_news || !tx.has_unsent()) {
            self.stop_timer(id);
        } else if is_news && tx.is_outstanding() {
            let (arrival, now) = (tx.last_arrival, self.now);
            self.set_timer(id, arrival.max(now));
        }
        self.pump(id);
        if is_news {
            self.sock_changed(id);
        }
    }

    /// Data from the peer.
    pub(super) fn data_arrived(&mut self, id: SockId, seq: u64, bytes: &[u8], is_last: bool) {
        // The acknowledgement may have ended the connection.
        let Some(sock) = self.net.socks.get_mut(&id).filter(|sock| sock.phase == Phase::Open)
        else {
            return;
        };
        let end = seq + bytes.len() as u64;
        let is_new = seq <= sock.rx.next && end > sock.rx.next && !sock.rx.has_ended;
        if is_new && sock.fd.is_none() && sock.listener.is_none() {
            // Nobody is going to read it.
            return self.abort(id);
        }
        if is_new {
            sock.rx.data.extend(&bytes[(sock.rx.next - seq) as usize..]);
            sock.rx.next = end;
        }
        let ends = is_last && end == sock.rx.next && !sock.rx.has_ended;
        sock.rx.has_ended |= ends;
        self.send_ack(id);
        if is_new || ends {
            self.sock_changed(id);
        }
    }

    /// The peer, or a middleman, broke the connection, or refused one.
    pub(super) fn reset_arrived(&mut self, id: SockId) {
        let Some(sock) = self.net.socks.get(&id) else { return };
        match sock.phase {
            Phase::SynSent => self.connect_failed(id, libc::ECONNREFUSED),
            Phase::SynReceived => {
                self.remove_sock(id);
            }
            Phase::Open if sock.rx.has_ended => self.broken(id, libc::EPIPE),
            Phase::Open => self.broken(id, libc::ECONNRESET),
            Phase::Closed | Phase::Listening => {}
        }
    }

    /// The connection is no more. What came before can still be read.
    fn broken(&mut self, id: SockId, error: c_int) {
        self.stop_timer(id);
        let sock = self.sock(id);
        if sock.fd.is_none() && sock.tx.is_shut {
            self.remove_sock(id);
            return;
        }
        (sock.phase, sock.error, sock.peer) = (Phase::Closed, error, None);
        sock.tx.data.clear();
        sock.tx.is_shut = true;
        self.sock_changed(id);
    }

    /// Resets the connection and forgets this end.
    pub(super) fn abort(&mut self, id: SockId) {
        let sock = self.sock(id);
        let (host, peer_host) = (sock.host, sock.peer_host);
        if let Some(peer) = sock.peer {
            self.send_rst((id, host), (peer, peer_host));
        }
        self.remove_sock(id);
    }

    /// shutdown(2).
    pub(super) fn shut(&mut self, id: SockId, how: c_int) -> c_int {
        let sock = self.sock(id);
        let (shuts_in, shuts_out) = match how {
            libc::SHUT_RD => (true, false),
            libc::SHUT_WR => (false, true),
            libc::SHUT_RDWR => (true, true),
            _ => return -libc::EINVAL,
        };
        match sock.phase {
            Phase::Listening if shuts_in => self.stop_listening(id),
            Phase::SynSent => {
                self.connect_failed(id, 0);
                return -libc::ENOTCONN;
            }
            Phase::Open => {
                sock.rx.is_shut |= shuts_in;
                sock.tx.is_shut |= shuts_out;
                self.pump(id);
            }
            _ => return -libc::ENOTCONN,
        }
        self.sock_changed(id);
        0
    }

    /// close(2).
    pub(super) fn close(&mut self, fd: c_int) -> c_int {
        let Some(id) = self.net.fds.remove(&fd) else { return -libc::EBADF };
        let sock = self.sock(id);
        sock.fd = None;
        match sock.phase {
            Phase::Listening => {
                self.stop_listening(id);
                self.remove_sock(id);
            }
            Phase::Open if !sock.rx.data.is_empty() || sock.resets_on_close => self.abort(id),
            Phase::Open => {
                sock.tx.is_shut = true;
                self.pump(id);
                let at = self.now + LINGER_NS;
                self.schedule(at, Event::Net(NetEvent::Forget(id)));
            }
            _ => {
                self.remove_sock(id);
            }
        }
        // Whoever waits for the descriptor is told that it is none.
        self.fd_changed(fd);
        0
    }

    /// A closed end was kept long enough, unless its peer still owes an answer.
    pub(super) fn forget(&mut self, id: SockId) {
        let Some(sock) = self.net.socks.get(&id) else { return };
        if sock.tx.is_outstanding() || sock.tx.has_unsent() {
            let at = self.now + LINGER_NS;
            self.schedule(at, Event::Net(NetEvent::Forget(id)));
        } else {
            self.remove_sock(id);
        }
    }
}
