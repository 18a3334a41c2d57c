// SPDX-License-Identifier: GPL-2.0-only
//! The generic netlink face, against a server that answers as a node would.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::{FakeRoot, both, said};

/// What the server saw, one entry a record.
type Seen = Receiver<Vec<u8>>;

fn seqpacket() -> OwnedFd {
    // SAFETY: only numbers are passed; the descriptor is new.
    unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0)) }
}

/// Listen at `path` and serve one client after another: `answer` makes the replies to a record, and
/// ends the connection by None.
fn serve(path: &Path, answer: impl Fn(&[u8]) -> Option<Vec<Vec<u8>>> + Send + 'static) -> Seen {
    let listener = seqpacket();
    // SAFETY: zero is a valid sockaddr_un.
    let mut name: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    name.sun_family = libc::AF_UNIX as _;
    for (to, from) in name.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
        *to = *from as _;
    }
    // SAFETY: `name` is a sockaddr_un.
    unsafe {
        let len = size_of_val(&name) as _;
        assert_eq!(libc::bind(listener.as_raw_fd(), (&raw const name).cast(), len), 0);
        assert_eq!(libc::listen(listener.as_raw_fd(), 8), 0);
    }
    let (send, seen) = channel();
    thread::spawn(move || {
        loop {
            // SAFETY: no address is asked for; the descriptor is new.
            let fd = unsafe {
                libc::accept(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut())
            };
            if fd < 0 {
                return;
            }
            // SAFETY: as above.
            let client = unsafe { OwnedFd::from_raw_fd(fd) };
            while let Some((record, reply_to)) = receive(&client) {
                let replies = answer(&record);
                // One group is nobody's to join.
                let refused = record.len() > 16 && record[16..] == FORBIDDEN.to_ne_bytes();
                if send.send(record).is_err() {
                    return;
                }
                let Some(replies) = replies else { break };
                for reply in replies {
                    // SAFETY: the reply has that many bytes.
                    unsafe {
                        libc::send(fd, reply.as_ptr().cast(), reply.len(), libc::MSG_NOSIGNAL)
                    };
                }
                if let Some(reply_to) = reply_to {
                    let error = if refused { libc::EPERM } else { 0 };
                    let bytes = [error.to_ne_bytes(), PORT.to_ne_bytes()].concat();
                    // SAFETY: as many bytes.
                    unsafe {
                        libc::send(reply_to.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0)
                    };
                }
            }
        }
    });
    seen
}

/// The port id that every client gets.
const PORT: u32 = 4242;
const FORBIDDEN: u32 = 99;

/// A record, and the socket for its answer.
fn receive(client: &OwnedFd) -> Option<(Vec<u8>, Option<OwnedFd>)> {
    let mut record = vec![0_u8; 65536];
    let mut control = [0_u64; 3];
    let mut part = libc::iovec { iov_base: record.as_mut_ptr().cast(), iov_len: record.len() };
    // SAFETY: zero is a msghdr without anything.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &raw mut part;
    msg.msg_iovlen = 1;
    msg.msg_control = control.as_mut_ptr().cast();
    msg.msg_controllen = size_of_val(&control);
    // SAFETY: `msg` describes room that lives through the call.
    let len = unsafe { libc::recvmsg(client.as_raw_fd(), &raw mut msg, 0) };
    assert!(len >= 0, "{}", io::Error::last_os_error());
    record.truncate(len as usize);
    // The third word of a control message is its first descriptor.
    let fd = (msg.msg_controllen > 0).then(|| control[2] as u32 as i32);
    // SAFETY: the kernel has just made it.
    (len > 0).then(|| (record, fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })))
}

fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut message = (16 + body.len() as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(seq.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}

fn attribute(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut attribute = (4 + body.len() as u16).to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(body);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn kind(record: &[u8]) -> u16 {
    u16::from_ne_bytes([record[4], record[5]])
}

fn seq(record: &[u8]) -> u32 {
    u32::from_ne_bytes(record[8..12].try_into().unwrap())
}

const HELLO: &[u8] = b"UMCgenl\0";
const DRBD: u16 = 0x1c;

/// nlctrl and an empty drbd family: GETFAMILY is answered, each dump is empty.
fn node(record: &[u8]) -> Option<Vec<Vec<u8>>> {
    if record == HELLO || kind(record) & 0xff00 == 0x0f00 {
        return Some(vec![]);
    }
    let done = message(3, 2, seq(record), &[0; 4]);
    Some(match kind(record) {
        0x10 => {
            let group = [attribute(1, b"events\0"), attribute(2, &77u32.to_ne_bytes())].concat();
            let groups = attribute(7, &attribute(1, &group));
            let family = [
                vec![1, 2, 0, 0],
                attribute(1, &DRBD.to_ne_bytes()),
                attribute(2, b"drbd\0"),
                attribute(3, &1u32.to_ne_bytes()),
                attribute(4, &8u32.to_ne_bytes()),
                groups,
            ];
            vec![message(0x10, 0, seq(record), &family.concat())]
        }
        _ => vec![done],
    })
}

fn control(root: &FakeRoot) -> std::path::PathBuf {
    let socket = root.host("control");
    std::os::unix::fs::symlink(&socket, root.path().join(".umc/control")).unwrap();
    socket
}

#[test]
fn drbdsetup_asks_the_node() {
    let root = FakeRoot::new();
    let seen = serve(&control(&root), node);
    let output = root.command("drbdsetup").arg("status").output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    assert_eq!(seen.recv().unwrap(), HELLO);
    // drbdsetup asks for its own address.
    assert_eq!(kind(&seen.recv().unwrap()), 0x0f03);
    let lookup = seen.recv().unwrap();
    assert_eq!((kind(&lookup), lookup.len()), (0x10, 32));
    assert!(lookup.windows(5).any(|bytes| bytes == b"drbd\0"));
    assert_eq!(kind(&seen.recv().unwrap()), DRBD);
}

#[test]
fn events_joins_its_groups_before_it_asks_for_the_state() {
    let root = FakeRoot::new();
    // The node goes away when it is asked for the state, which ends the stream of events.
    let seen = serve(&control(&root), |record| match record {
        record if record != HELLO && kind(record) == DRBD => None,
        record => node(record),
    });
    let mut command = root.command("timeout");
    let output = command.args(["20", "drbdsetup", "events2"]).output().unwrap();
    assert_ne!(output.status.code(), Some(124), "it hangs: {}", both(&output));
    assert_ne!(output.status.code(), Some(141), "SIGPIPE: {}", both(&output));
    let records: Vec<_> = seen.try_iter().skip(1).collect();
    let kinds: Vec<_> = records.iter().map(|record| kind(record)).collect();
    assert_eq!(kinds, [0x0f03, 0x10, 0x0f01, 0x0f01, DRBD], "{}", both(&output));
    assert_eq!(records[2][16..], 16u32.to_ne_bytes());
    assert_eq!(records[3][16..], 77u32.to_ne_bytes());
}

fn python(root: &FakeRoot, script: &str) -> Command {
    let head = "import os,socket,struct,errno
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
s.bind((0, 0))
";
    let mut command = root.command("python3");
    command.arg("-c").arg(format!("{head}{script}"));
    command
}

#[test]
fn any_client_sees_netlink_addresses_and_whole_datagrams() {
    let root = FakeRoot::new();
    let long = message(DRBD, 0, 1, &[7; 3000]);
    let _seen = serve(&control(&root), move |record| {
        Some(if record == HELLO { vec![] } else { vec![long.clone()] })
    });
    let script = "assert s.getsockname() == (4242, 0), s.getsockname()
assert s.getpeername() == (0, 0)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.setsockopt(270, 11, 1)
s.sendto(b'x' * 20, (0, 0))
d, _, flags, name = s.recvmsg(100, 0, socket.MSG_PEEK)
assert len(d) == 100 and flags & socket.MSG_TRUNC and name == (0, 0), (len(d), flags, name)
assert len(s.recv(0, socket.MSG_PEEK)) == 0
d, name = s.recvfrom(8192)
assert len(d) == 3016 and name == (0, 0), (len(d), name)
t = socket.socket(fileno=os.dup(s.fileno()))
assert t.family == socket.AF_NETLINK and t.getsockname() == (4242, 0)
s.close(); t.send(b'y' * 20); assert len(t.recv(8192)) == 3016
f = t.fileno(); t.close(); u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
assert u.fileno() <= f and u.getsockname() in ('', b''), u.getsockname()
r = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); r.bind((0, 0)); print('route', r.getsockname()[1])
print('done')";
    assert_eq!(said(&mut python(&root, script)), "route 0\ndone\n");
}

#[test]
fn a_membership_is_answered_while_messages_wait() {
    let root = FakeRoot::new();
    // A message of the driver stands before every answer.
    let _seen = serve(&control(&root), |record| {
        Some(if record == HELLO { vec![] } else { vec![message(DRBD, 0, 7, &[0; 8])] })
    });
    let script = "s.setblocking(False)
for option, group in (1, 5), (1, 99), (2, 99), (2, 5):
    try: s.setsockopt(270, option, group); print('ok')
    except OSError as e: print(errno.errorcode[e.errno])
try: s.bind((0, 1 << 4)); print('bound')
except OSError as e: print(errno.errorcode[e.errno])
print(sum(len(s.recv(100)) for _ in range(5)))";
    assert_eq!(said(&mut python(&root, script)), "ok\nEPERM\nEPERM\nok\nbound\n120\n");
}

#[test]
fn an_overrun_is_reported_once_and_reading_goes_on() {
    let root = FakeRoot::new();
    let _seen = serve(&control(&root), |record| {
        let next = message(DRBD, 0, 2, &[0; 8]);
        Some(if record == HELLO { vec![] } else { vec![message(0x0fff, 0, 0, &[]), next] })
    });
    let script = "for peek in (0, socket.MSG_PEEK):
    s.send(b'x' * 20)
    try: s.recv(100, peek); print('no error')
    except OSError as e: print(errno.errorcode[e.errno])
    print(len(s.recv(100)))";
    assert_eq!(said(&mut python(&root, script)), "ENOBUFS\n24\nENOBUFS\n24\n");
}

#[test]
fn a_node_that_goes_away_is_an_error_and_not_a_signal() {
    let root = FakeRoot::new();
    let _seen = serve(&control(&root), |record| (record == HELLO).then(Vec::new));
    let script = "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)
def attempt(f, *a):
    try: print(f(*a))
    except OSError as e: print(errno.errorcode[e.errno])
s.send(b'x' * 20)
attempt(s.recv, 100)
attempt(os.write, s.fileno(), b'x' * 20)
attempt(s.sendto, b'x' * 20, (0, 0))
attempt(s.setsockopt, 270, 1, 5)";
    let want = "ECONNRESET\nECONNREFUSED\nECONNREFUSED\nECONNREFUSED\n";
    assert_eq!(said(&mut python(&root, script)), want);
}

/// Tools of DRBD 8.3 speak to the host's driver by it, and wait for minutes where there is none.
#[test]
fn there_is_no_connector() {
    let root = FakeRoot::new();
    let script = "import socket, errno
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
    try: socket.socket(socket.AF_NETLINK, kind, 11); print('open')
    except OSError as e: print(errno.errorcode[e.errno])
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)";
    let refused = "EPROTONOSUPPORT\n".repeat(2);
    assert_eq!(said(root.command("python3").args(["-c", script])), refused);
}

#[test]
fn a_root_with_a_long_name_is_reached_too() {
    let root = FakeRoot::new();
    let _seen = serve(&control(&root), node);
    let deep = root.host(&"d".repeat(120));
    std::os::unix::fs::symlink(root.path(), &deep).unwrap();
    let mut command = python(&root, "print(s.getpeername())");
    assert_eq!(said(command.env("UMC_FS_ROOT", deep)), "(0, 0)\n");
}

#[test]
fn without_a_node_the_message_says_what_to_do() {
    let root = FakeRoot::new();
    let output = python(&root, "").output().unwrap();
    let text = both(&output);
    assert!(text.contains("there is no control socket") && text.contains("umc start"), "{text}");
    assert!(text.contains("FileNotFoundError"), "{text}");
    drop(serve_nothing(&control(&root)));
    let text = both(&python(&root, "").output().unwrap());
    assert!(text.contains("nothing listens") && text.contains("ConnectionRefusedError"), "{text}");
}

/// A socket file with nobody behind it.
fn serve_nothing(path: &Path) -> std::os::unix::net::UnixListener {
    std::os::unix::net::UnixListener::bind(path).unwrap()
}
