// SPDX-License-Identifier: GPL-2.0-only
//! Two ends of a connection over loopback, driven through the C functions as DRBD drives them.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

mod callbacks;

use super::*;
use crate::kernel::Config;
use crate::rwlock::abi::{_raw_write_lock_bh, _raw_write_unlock_bh};
use crate::{completion::Completion, kthread, sched, signal, uio};

const SIGHUP: c_int = 1;
const WAITALL: c_int = libc::MSG_WAITALL;

/// A tenth of a second.
const SHORT: c_long = sys::HZ as c_long / 10;

/// A socket that is released at the end.
struct Owned(*mut sys::socket);

// SAFETY: sockets may be used from any thread.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the test made it and is done with it.
        unsafe { sock_release(self.0) };
    }
}

impl Owned {
    fn tcp() -> Owned {
        let mut socket = ptr::null_mut();
        // SAFETY: a local result.
        let ret = unsafe {
            let net = umc_init_net();
            sock_create_kern(
                net,
                libc::AF_INET,
                libc::SOCK_STREAM,
                libc::IPPROTO_TCP,
                &raw mut socket,
            )
        };
        assert_eq!(ret, 0);
        Owned(socket)
    }

    #[allow(clippy::mut_from_ref)]
    fn sk(&self) -> &mut sys::sock {
        // SAFETY: alive; tests use members as drivers do.
        unsafe { &mut *(*self.0).sk }
    }

    fn state(&self) -> u32 {
        // SAFETY: alive.
        unsafe { Sock::from_raw((*self.0).sk) }.state()
    }

    fn ops(&self) -> &sys::proto_ops {
        // SAFETY: alive.
        unsafe { &*(*self.0).ops }
    }

    fn address(&self) -> sys::sockaddr_in {
        let mut addr = [0u64; 16];
        // SAFETY: room for any address.
        let len = unsafe { kernel_getsockname(self.0, addr.as_mut_ptr().cast()) };
        assert_eq!(len, 16);
        // SAFETY: an IPv4 address was written.
        unsafe { addr.as_ptr().cast::<sys::sockaddr_in>().read() }
    }

    fn bind_any(&self) {
        let mut addr = sys::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_addr: sys::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
            ..Default::default()
        };
        // SAFETY: a live socket and address.
        let ret = unsafe { (self.ops().bind.unwrap())(self.0, (&raw mut addr).cast(), 16) };
        assert_eq!(ret, 0);
    }

    fn listen(&self) {
        self.bind_any();
        // SAFETY: a live socket.
        assert_eq!(unsafe { (self.ops().listen.unwrap())(self.0, 5) }, 0);
    }

    fn connect(&self, to: &Owned) -> c_int {
        let mut addr = to.address();
        // SAFETY: a live socket and address.
        unsafe { (self.ops().connect.unwrap())(self.0, (&raw mut addr).cast(), 16, 0) }
    }

    fn accept(&self) -> Owned {
        let mut new = ptr::null_mut();
        // SAFETY: a live socket.
        assert_eq!(unsafe { kernel_accept(self.0, &raw mut new, 0) }, 0);
        Owned(new)
    }

    fn send(&self, data: &[u8], flags: c_int) -> c_int {
        let mut vec = sys::kvec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        let mut msg = sys::msghdr { msg_flags: flags as u32, ..Default::default() };
        // SAFETY: a live socket and buffer.
        unsafe { kernel_sendmsg(self.0, &raw mut msg, &raw mut vec, 1, data.len()) }
    }

    fn recv(&self, data: &mut [u8], flags: c_int) -> c_int {
        let mut vec = sys::kvec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
        let mut msg = sys::msghdr::default();
        // SAFETY: a live socket and buffer.
        unsafe { kernel_recvmsg(self.0, &raw mut msg, &raw mut vec, 1, data.len(), flags) }
    }
}

fn boot() -> &'static Kernel {
    let kernel = Kernel::boot(Config::default());
    sched::attach(kernel, "test");
    kernel
}

fn pair() -> (Owned, Owned) {
    let (listener, client) = (Owned::tcp(), Owned::tcp());
    listener.listen();
    assert_eq!(client.connect(&listener), 0);
    let server = listener.accept();
    (client, server)
}

/// Runs `f` in a kernel thread that takes SIGHUP; the thread's result comes through the returned pair.
fn in_thread(
    kernel: &'static Kernel,
    f: impl FnOnce() -> c_int + Send + 'static,
) -> (kthread::Thread, Arc<(AtomicI32, Completion)>) {
    let result = Arc::new((AtomicI32::new(1), Completion::new()));
    let shared = result.clone();
    let ready = Arc::new(Completion::new());
    let takes_signals = ready.clone();
    let main = move || {
        // SAFETY: a kernel thread.
        unsafe { signal::allow_kernel_signal(SIGHUP) };
        takes_signals.complete();
        shared.0.store(f(), Ordering::Release);
        shared.1.complete();
    };
    let thread = kthread::spawn(kernel, "socket", Box::new(main)).unwrap();
    // A signal that came before would be lost.
    ready.wait();
    (thread, result)
}

fn settle(kernel: &'static Kernel) {
    let word = AtomicU32::new(0);
    let until = kernel.ops.now_ns() + 50_000_000;
    while kernel.ops.now_ns() < until {
        kernel.ops.park(&word, 0, until);
    }
}

/// Waits for what other threads do in their own time.
fn eventually(kernel: &'static Kernel, what: &str, mut is_so: impl FnMut() -> bool) {
    let until = kernel.ops.now_ns() + 60_000_000_000;
    while !is_so() {
        assert!(kernel.ops.now_ns() < until, "{what}");
        kernel.ops.park(&AtomicU32::new(0), 0, kernel.ops.now_ns() + 1_000_000);
    }
}

fn result_of(shared: &(AtomicI32, Completion)) -> c_int {
    assert!(shared.1.wait_timeout(60_000_000_000), "the socket call returns");
    shared.0.load(Ordering::Acquire)
}

#[test]
fn data_goes_both_ways() {
    boot();
    let (a, b) = pair();
    assert_eq!(
        (a.sk().sk_state as u32, b.sk().sk_state as u32),
        (sys::TCP_ESTABLISHED, sys::TCP_ESTABLISHED)
    );
    assert_eq!(a.send(b"hello", libc::MSG_MORE), 5);
    assert_eq!(a.send(b" world", 0), 6);
    let mut buf = [0u8; 11];
    assert_eq!(b.recv(&mut buf, WAITALL), 11);
    assert_eq!(&buf, b"hello world");
    assert_eq!(b.send(b"x", 0), 1);
    assert_eq!(a.recv(&mut buf, libc::MSG_PEEK), 1);
    assert_eq!(a.recv(&mut buf, 0), 1);
    assert_eq!(a.recv(&mut buf, libc::MSG_DONTWAIT), -libc::EAGAIN);
    assert_eq!(a.recv(&mut buf, libc::MSG_DONTWAIT | libc::MSG_PEEK), -libc::EAGAIN);
    drop(b);
    assert_eq!(a.recv(&mut buf, WAITALL), 0);
}

#[test]
fn pages_are_sent_from_where_they_are() {
    boot();
    let (a, b) = pair();
    let mut pages = crate::mm::PageBuf::new(8192).unwrap();
    for (byte, value) in pages.as_mut_slice().iter_mut().zip(0u32..) {
        *byte = (value % 251) as u8;
    }
    let bvec = sys::bio_vec { bv_page: pages.first_page(), bv_len: 6000, bv_offset: 1000 };
    let mut msg = sys::msghdr { msg_flags: sys::MSG_SPLICE_PAGES, ..Default::default() };
    // SAFETY: live sockets and pages.
    unsafe {
        uio::iov_iter_bvec(&raw mut msg.msg_iter, sys::ITER_SOURCE, &raw const bvec, 1, 6000)
    };
    // SAFETY: as above.
    assert_eq!(unsafe { sock_sendmsg(a.0, &raw mut msg) }, 6000);
    let mut buf = vec![0u8; 6000];
    assert_eq!(b.recv(&mut buf, WAITALL), 6000);
    assert_eq!(buf, pages.as_slice()[1000..7000]);
}

#[test]
fn receive_times_out() {
    let kernel = boot();
    let (a, b) = pair();
    a.sk().sk_rcvtimeo = SHORT;
    let mut buf = [0u8; 8];
    let before = kernel.ops.now_ns();
    assert_eq!(a.recv(&mut buf, WAITALL), -libc::EAGAIN);
    let took = kernel.ops.now_ns() - before;
    assert!((80_000_000..2_000_000_000).contains(&took), "{took} ns");
    b.send(b"abc", 0);
    assert_eq!(a.recv(&mut buf, WAITALL), 3, "what came before the time was up");
    assert_eq!(a.recv(&mut buf, WAITALL | libc::MSG_PEEK), -libc::EAGAIN);
}

#[test]
fn signals_interrupt() {
    let kernel = boot();
    for (timeo, expected) in
        [(c_long::MAX, -(Errno::ERESTARTSYS.raw())), (60 * sys::HZ as c_long, -libc::EINTR)]
    {
        let (a, _b) = pair();
        a.sk().sk_rcvtimeo = timeo;
        let (thread, result) = in_thread(kernel, move || a.recv(&mut [0u8; 8], WAITALL));
        settle(kernel);
        assert_eq!(result.0.load(Ordering::Acquire), 1, "blocked");
        thread.send_sig(SIGHUP);
        assert_eq!(result_of(&result), expected);
        thread.join();
    }
    let (a, b) = pair();
    let (thread, result) = in_thread(kernel, move || a.recv(&mut [0u8; 8], WAITALL));
    assert_eq!(b.send(b"abc", 0), 3);
    settle(kernel);
    thread.send_sig(SIGHUP);
    assert_eq!(result_of(&result), 3, "a part beats the signal");
    thread.join();
}

#[test]
fn shutdown_wakes() {
    let kernel = boot();
    let (a, _b) = pair();
    let a = Arc::new(a);
    let blocked = a.clone();
    let (thread, result) = in_thread(kernel, move || blocked.recv(&mut [0u8; 8], WAITALL));
    settle(kernel);
    // SAFETY: a live socket.
    assert_eq!(unsafe { kernel_sock_shutdown(a.0, sys::SHUT_RDWR) }, 0);
    assert_eq!(result_of(&result), 0);
    thread.join();
    assert_eq!(a.send(b"x", 0), -libc::EPIPE);
}

#[test]
fn sender_blocks_until_all_is_taken() {
    let kernel = boot();
    let (a, b) = pair();
    a.sk().sk_sndbuf = 512 * 1024;
    a.sk().sk_userlocks |= sys::SOCK_SNDBUF_LOCK as u8;
    let len = 16 << 20;
    let data: Vec<u8> = (0..len).map(|at: usize| (at / 3 % 253) as u8).collect();
    let sent = data.clone();
    let a = Arc::new(a);
    let sender = a.clone();
    let (thread, result) = in_thread(kernel, move || sender.send(&sent, 0));
    // SAFETY: alive.
    let flags = || unsafe { ptr::read_volatile(&raw const (*a.0).flags) };
    eventually(kernel, "blocked", || flags() & 1 << sys::SOCK_NOSPACE != 0);
    assert_eq!(result.0.load(Ordering::Acquire), 1, "blocked");
    assert!(a.sk().sk_wmem_queued > 0);
    let mut got = vec![0u8; len];
    assert_eq!(b.recv(&mut got, WAITALL), len as c_int);
    assert!(got == data);
    assert_eq!(result_of(&result), len as c_int);
    thread.join();
    eventually(kernel, "refreshed without a call", || {
        (a.sk().sk_wmem_queued, flags() & 1 << sys::SOCK_NOSPACE) == (0, 0)
    });
}

#[test]
fn send_times_out() {
    boot();
    let (a, _b) = pair();
    a.sk().sk_sndtimeo = SHORT;
    let data = vec![1u8; 32 << 20];
    let first = a.send(&data, 0);
    assert!(first > 0 && (first as usize) < data.len(), "{first}");
    // The host may find some more room in between.
    let last = (0..100).map(|_| a.send(&data, 0)).find(|ret| *ret <= 0);
    assert_eq!(last, Some(-libc::EAGAIN));
    assert_eq!(a.send(&data, libc::MSG_DONTWAIT), -libc::EAGAIN);
}

#[test]
fn connect_fails_as_the_host_says() {
    boot();
    let (client, silent) = (Owned::tcp(), Owned::tcp());
    silent.bind_any();
    assert_eq!(client.connect(&silent), -libc::ECONNREFUSED);
    let mut new = ptr::null_mut();
    // SAFETY: a live socket.
    assert_eq!(unsafe { kernel_accept(silent.0, &raw mut new, 0) }, -libc::EINVAL);
    assert!(new.is_null());
}

#[test]
fn accept_waits_and_is_interrupted() {
    let kernel = boot();
    let listener = Arc::new(Owned::tcp());
    listener.listen();
    let waiting = listener.clone();
    let accept = move || {
        let mut new = ptr::null_mut();
        // SAFETY: a live socket.
        let ret = unsafe { kernel_accept(waiting.0, &raw mut new, 0) };
        if ret == 0 {
            drop(Owned(new));
        }
        ret
    };
    let (thread, result) = in_thread(kernel, accept.clone());
    settle(kernel);
    thread.send_sig(SIGHUP);
    assert_eq!(result_of(&result), -(Errno::ERESTARTSYS.raw()));
    thread.join();
    let (thread, result) = in_thread(kernel, accept);
    settle(kernel);
    let client = Owned::tcp();
    assert_eq!(client.connect(&listener), 0);
    assert_eq!(result_of(&result), 0);
    thread.join();
    listener.sk().sk_rcvtimeo = SHORT;
    let mut new = ptr::null_mut();
    // SAFETY: a live socket.
    assert_eq!(unsafe { kernel_accept(listener.0, &raw mut new, 0) }, -libc::EAGAIN);
}

/// What an actor of [`tcp_read_sock`] has taken, and how much more it may take, at most three bytes at once.
struct Reader {
    seen: Vec<u8>,
    at_most: usize,
}

unsafe extern "C" fn actor(
    desc: *mut sys::read_descriptor_t,
    skb: *mut sys::sk_buff,
    offset: std::ffi::c_uint,
    len: usize,
) -> c_int {
    // SAFETY: the test's own descriptor and the buffer it is shown.
    unsafe {
        let reader = &mut *(*desc).arg.data.cast::<Reader>();
        let take = len.min(reader.at_most).min(3);
        reader.at_most -= take;
        let mut state = sys::skb_seq_state::default();
        let end = offset + take as std::ffi::c_uint;
        skbuff::skb_prepare_seq_read(skb, offset, end, &raw mut state);
        let (mut consumed, mut data) = (0, ptr::null());
        loop {
            match skbuff::skb_seq_read(consumed, &raw mut data, &raw mut state) {
                0 => break,
                len => {
                    reader.seen.extend(std::slice::from_raw_parts(data, len as usize));
                    consumed += len;
                }
            }
        }
        assert_eq!(consumed as usize, take);
        take as c_int
    }
}

fn read_sock(socket: &Owned, reader: &mut Reader) -> c_int {
    let mut desc = sys::read_descriptor_t { count: 1, ..Default::default() };
    desc.arg.data = ptr::from_mut(reader).cast();
    // SAFETY: a live socket and descriptor.
    unsafe { tcp_read::tcp_read_sock((*socket.0).sk, &raw mut desc, Some(actor)) }
}

#[test]
fn an_actor_takes_what_it_wants() {
    boot();
    let (client, server) = pair();
    let mut reader = Reader { seen: Vec::new(), at_most: 4 };
    assert_eq!(read_sock(&server, &mut reader), 0, "nothing there, and no wait");
    assert_eq!(client.send(b"0123456789", 0), 10);
    assert_eq!(server.recv(&mut [0; 10], libc::MSG_PEEK | WAITALL), 10);
    // Less than it was offered: it is asked again. What it does not want then stays, for it and for others.
    assert_eq!(read_sock(&server, &mut reader), 4);
    assert_eq!(reader.seen, b"0123");
    // SAFETY: alive; the members are those of Linux.
    let tcp = unsafe { &*(*server.0).sk.cast::<sys::tcp_sock>() };
    assert_eq!((tcp.copied_seq, tcp.rcv_nxt.wrapping_sub(tcp.copied_seq)), (4, 6));
    let mut two = [0; 2];
    assert_eq!(server.recv(&mut two, 0), 2);
    assert_eq!(&two, b"45");
    reader.at_most = 0;
    assert_eq!(read_sock(&server, &mut reader), 0);
    reader.at_most = usize::MAX;
    assert_eq!(read_sock(&server, &mut reader), 4);
    assert_eq!(reader.seen, b"01236789");
    // The end of the stream is none of the actor's business.
    // SAFETY: a live socket.
    assert_eq!(unsafe { kernel_sock_shutdown(client.0, sys::SHUT_WR) }, 0);
    assert_eq!(server.recv(&mut two, 0), 0);
    assert_eq!(read_sock(&server, &mut reader), 0);
    assert_ne!(server.sk().sk_shutdown & sys::RCV_SHUTDOWN as u8, 0);
}

#[test]
fn a_listener_is_not_read() {
    boot();
    let listener = Owned::tcp();
    listener.listen();
    let mut reader = Reader { seen: Vec::new(), at_most: 1 };
    assert_eq!(read_sock(&listener, &mut reader), Errno::ENOTCONN.neg());
}

/// The address of a function that is compiled twice is no sign that a driver has replaced it.
#[test]
fn what_has_come_is_taken_along_where_no_driver_listens() {
    boot();
    let (client, server) = pair();
    assert_eq!(client.send(b"ten bytes.", 0), 10);
    assert_eq!(server.recv(&mut [0; 1], 0), 1);
    // SAFETY: the socket is alive, and its Internet socket with it.
    let sock = unsafe { Sock::from_raw((*server.0).sk) };
    assert_eq!((sock.replaced(), sock.ahead.lock().len()), ((false, false), 9));
}

#[test]
fn a_file_owns_its_socket() {
    boot();
    let (client, server) = pair();
    let socket = client.0;
    std::mem::forget(client);
    // SAFETY: the socket's only user; the file has it from here on.
    unsafe {
        let file = sock_file::sock_alloc_file(socket, libc::O_NONBLOCK, ptr::null());
        assert_eq!((*socket).file, file);
        crate::fs::file::fput(file);
    }
    assert_eq!(server.recv(&mut [0; 1], 0), 0, "the socket went with its file");
}

#[test]
fn encryption_is_refused_and_said() {
    let kernel = boot();
    let peer = c"beta";
    let args = sys::tls_handshake_args { ta_peername: peer.as_ptr(), ..Default::default() };
    // SAFETY: live arguments; none of them is used but the name.
    let ret = unsafe { handshake::tls_client_hello_x509(&raw const args, 0) };
    assert_eq!(ret, Errno::EOPNOTSUPP.neg());
    assert!(kernel.log_records(0).iter().any(|record| record.text.contains("TLS with beta")));
}
