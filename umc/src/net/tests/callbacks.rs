// SPDX-License-Identifier: GPL-2.0-only
//! What a driver is told of a socket by its callbacks: connections, data, room, and ends, the peer's and its own.

use super::*;

static ORIGINAL_CALLS: AtomicUsize = AtomicUsize::new(0);

/// What DRBD's callback does: ring the bell on ESTABLISHED.
unsafe extern "C" fn incoming(sk: *mut sys::sock) {
    // SAFETY: the test put a completion there, as DRBD does.
    let (bell, state) = unsafe { (&*(*sk).sk_user_data.cast::<Completion>(), (*sk).sk_state) };
    if u32::from(state) == sys::TCP_ESTABLISHED {
        ORIGINAL_CALLS.fetch_add(1, Ordering::Relaxed);
        bell.complete();
    }
}

#[test]
fn listener_rings_once_per_connection() {
    let kernel = boot();
    let bell = Completion::new();
    let listener = Owned::tcp();
    listener.sk().sk_user_data = (&raw const bell).cast_mut().cast::<c_void>();
    listener.sk().sk_state_change = Some(incoming);
    listener.listen();
    assert!(!bell.wait_timeout(10_000_000));
    for round in 1..=20 {
        let client = Owned::tcp();
        assert_eq!(client.connect(&listener), 0);
        assert!(bell.wait_timeout(2_000_000_000), "connection {round}");
        let mut new = ptr::null_mut();
        // SAFETY: a live socket. Not to wait: the bell rang, so the connection is there.
        assert_eq!(unsafe { kernel_accept(listener.0, &raw mut new, libc::O_NONBLOCK) }, 0);
        let server = Owned(new);
        assert_eq!(server.sk().sk_user_data, listener.sk().sk_user_data, "inherited");
        server.sk().sk_state_change = Some(crate::sock::INITIAL.state_change);
        assert_eq!(client.send(b"!", 0), 1);
        assert_eq!(server.recv(&mut [0u8; 1], WAITALL), 1);
        assert_eq!(ORIGINAL_CALLS.load(Ordering::Relaxed), round);
    }
    // A connection that nobody accepts is reset with its listener.
    let (client, thread_listener) = (Owned::tcp(), listener);
    assert_eq!(client.connect(&thread_listener), 0);
    assert!(bell.wait_timeout(2_000_000_000));
    settle(kernel);
    drop(thread_listener);
    assert_eq!(client.recv(&mut [0u8; 1], 0), -libc::ECONNRESET);
}

/// Counters of the callbacks of a connected socket.
#[derive(Default)]
struct Calls {
    ready: AtomicUsize,
    changed: AtomicUsize,
    space: AtomicUsize,
}

impl Calls {
    unsafe fn of<'a>(sk: *mut sys::sock) -> &'a Calls {
        // SAFETY: the test put it there and outlives the socket.
        unsafe { &*(*sk).sk_user_data.cast::<Calls>() }
    }
}

unsafe extern "C" fn ready(sk: *mut sys::sock) {
    // SAFETY: as in `of`.
    unsafe { Calls::of(sk) }.ready.fetch_add(1, Ordering::Release);
}

unsafe extern "C" fn changed(sk: *mut sys::sock) {
    // SAFETY: as in `of`.
    unsafe { Calls::of(sk) }.changed.fetch_add(1, Ordering::Release);
}

unsafe extern "C" fn space(sk: *mut sys::sock) {
    // SAFETY: as in `of`.
    unsafe { Calls::of(sk) }.space.fetch_add(1, Ordering::Release);
}

#[test]
fn replaced_callbacks_are_called() {
    let kernel = boot();
    let calls = Calls::default();
    let (a, b) = pair();
    let reaches = |counter: &AtomicUsize, value: usize| {
        for _ in 0..100 {
            if counter.load(Ordering::Acquire) >= value {
                break;
            }
            settle(kernel);
        }
        assert_eq!(counter.load(Ordering::Acquire), value);
    };
    // SAFETY: a live socket.
    let lock = unsafe { &raw mut (*(*a.0).sk).sk_callback_lock };
    // SAFETY: its lock.
    unsafe { _raw_write_lock_bh(lock) };
    a.sk().sk_user_data = (&raw const calls).cast_mut().cast();
    a.sk().sk_data_ready = Some(ready);
    a.sk().sk_state_change = Some(changed);
    a.sk().sk_write_space = Some(space);
    // SAFETY: as above. From here on they are called, without an operation on the socket before.
    unsafe { _raw_write_unlock_bh(lock) };
    let mut buf = vec![0u8; 1 << 20];
    for round in 1..=3 {
        assert_eq!(b.send(b"abc", 0), 3);
        reaches(&calls.ready, round);
        settle(kernel);
        assert_eq!(calls.ready.load(Ordering::Acquire), round, "not while it lies unread");
        assert_eq!(a.recv(&mut buf[..3], WAITALL), 3);
    }
    let data = vec![0u8; 1 << 20];
    while a.send(&data, libc::MSG_DONTWAIT) > 0 {}
    settle(kernel);
    assert_eq!(calls.space.load(Ordering::Acquire), 0);
    while b.recv(&mut buf, libc::MSG_DONTWAIT) > 0 {
        settle(kernel);
    }
    reaches(&calls.space, 1);
    drop(b);
    reaches(&calls.changed, 1);
    assert_eq!(a.state(), sys::TCP_CLOSE_WAIT);
}

/// A callback that is rung takes a message along, but not from under a receive that sleeps until it comes.
#[test]
fn a_callback_leaves_data_to_a_receive_that_waits() {
    const ROUNDS: usize = 300;
    let kernel = boot();
    let calls = Calls::default();
    let (a, b) = pair();
    // SAFETY: a live socket.
    let lock = unsafe { &raw mut (*(*a.0).sk).sk_callback_lock };
    // SAFETY: its lock.
    unsafe { _raw_write_lock_bh(lock) };
    a.sk().sk_user_data = (&raw const calls).cast_mut().cast();
    a.sk().sk_data_ready = Some(ready);
    // SAFETY: as above.
    unsafe { _raw_write_unlock_bh(lock) };
    a.sk().sk_rcvtimeo = 5 * sys::HZ as c_long;
    let (thread, result) = in_thread(kernel, move || {
        for _ in 0..ROUNDS {
            let got = a.recv(&mut [0; 8], WAITALL);
            if got != 8 || a.send(b"!", 0) != 1 {
                return got;
            }
        }
        8
    });
    for _ in 0..ROUNDS {
        assert_eq!(b.send(b"eight...", 0), 8);
        assert_eq!(b.recv(&mut [0; 1], WAITALL), 1);
    }
    assert_eq!(result_of(&result), 8);
    thread.join();
}

#[test]
fn the_state_follows_the_peer_while_data_is_unread() {
    let kernel = boot();
    let mut buf = [0; 8];
    let (a, b) = pair();
    assert_eq!(b.send(b"abc", 0), 3);
    drop(b);
    eventually(kernel, "the end is noticed", || a.state() == sys::TCP_CLOSE_WAIT);
    assert_eq!((a.recv(&mut buf, 0), a.recv(&mut buf, 0)), (3, 0));

    let (a, b) = pair();
    assert_eq!(b.send(b"abc", 0), 3);
    // SAFETY: a live socket.
    unsafe { Sock::from_raw((*b.0).sk) }.reset_on_close();
    drop(b);
    eventually(kernel, "the reset is noticed", || a.state() == sys::TCP_CLOSE);
    assert_eq!((a.recv(&mut buf, 0), a.recv(&mut buf, 0)), (3, -libc::ECONNRESET));
}

#[test]
fn a_stream_that_breaks_after_its_end_is_closed() {
    let kernel = boot();
    let (client, server) = pair();
    drop(client);
    eventually(kernel, "the peer's end", || server.state() == sys::TCP_CLOSE_WAIT);
    // The first is taken, and answered with a reset.
    assert_eq!(server.send(b"x", 0), 1);
    eventually(kernel, "the reset", || server.send(b"x", 0) == -libc::EPIPE);
    assert_eq!(server.state(), sys::TCP_CLOSE);
}

#[test]
fn an_error_comes_behind_the_data() {
    let kernel = boot();
    let (a, b) = pair();
    let mut buf = [0; 8];
    for taken_along in [false, true] {
        assert_eq!(b.send(b"abcdef", 0), 6);
        if taken_along {
            assert_eq!(a.recv(&mut buf[..2], WAITALL), 2);
        } else {
            eventually(kernel, "all has come", || a.recv(&mut buf, libc::MSG_PEEK) == 6);
        }
        // SAFETY: a live socket. As of an acknowledgement that could not be sent, for one.
        unsafe { Sock::from_raw((*a.0).sk) }.set_error(Errno::ECONNRESET);
        assert_eq!(a.recv(&mut buf, 0), if taken_along { 4 } else { 6 });
        assert_eq!(a.recv(&mut buf, 0), -libc::ECONNRESET);
    }
}

#[test]
fn an_accepted_connection_says_that_its_peer_has_gone() {
    let kernel = boot();
    let (listener, client) = (Owned::tcp(), Owned::tcp());
    listener.listen();
    assert_eq!(client.connect(&listener), 0);
    assert_eq!(client.send(b"abc", 0), 3);
    drop(client);
    // It was gone for long when the driver comes to accept it.
    settle(kernel);
    let child = listener.accept();
    assert_eq!(u32::from(child.sk().sk_state), sys::TCP_CLOSE_WAIT);
    let mut buf = [0; 8];
    assert_eq!(child.recv(&mut buf, 0), 3);
}

/// Counts its calls, and notes the state that each one sees.
unsafe extern "C" fn note_state(sk: *mut sys::sock) {
    // SAFETY: a live socket, whose user data is the test's list.
    let (seen, state) =
        unsafe { (&*(*sk).sk_user_data.cast::<std::sync::Mutex<Vec<u8>>>(), (*sk).sk_state) };
    seen.lock().unwrap().push(state);
}

/// Who ends a connection himself is called as when the peer does: a driver releases what it has there.
#[test]
fn shutdown_calls_back() {
    boot();
    let cases: [(bool, &[u32]); 2] = [
        (false, &[sys::TCP_FIN_WAIT1]),
        // Who looks for the end of the connection, and not at each step to it, sees that too.
        (true, &[sys::TCP_LAST_ACK, sys::TCP_CLOSE]),
    ];
    for (peer_was_first, states) in cases {
        let (a, b) = pair();
        let seen = std::sync::Mutex::new(Vec::<u8>::new());
        if peer_was_first {
            // SAFETY: a live socket.
            assert_eq!(unsafe { kernel_sock_shutdown(b.0, sys::SHUT_WR) }, 0);
            assert_eq!(a.recv(&mut [0; 8], 0), 0);
        }
        a.sk().sk_user_data = (&raw const seen).cast_mut().cast();
        a.sk().sk_state_change = Some(note_state);
        // SAFETY: a live socket.
        assert_eq!(unsafe { kernel_sock_shutdown(a.0, sys::SHUT_RDWR) }, 0);
        // Copied: the end of a socket waits for who calls back, who waits for the list.
        let seen = seen.lock().unwrap().clone();
        assert!(states.iter().zip(&seen).all(|(wanted, found)| *wanted == u32::from(*found)));
        assert!(seen.len() >= states.len(), "{seen:?}");
        drop(a);
    }
}
