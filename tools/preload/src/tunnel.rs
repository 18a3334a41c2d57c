// SPDX-License-Identifier: GPL-2.0-only
//! The tunnel: character devices of the node, and ioctls of its block devices whose arguments only the driver knows.
//!
//! An open character device is a connection to the node, which dup, fork, exec and SCM_RIGHTS hand on and poll(2) waits for
//! as they do with any socket; [`crate::fds`] knows it. Each call on one brings a socket along on which the node asks back
//! for memory and descriptors of this process, [`Call::make`]. Addresses are never touched here, but handed to the host's
//! kernel, which says EFAULT for those that are none.

use core::ffi::{CStr, c_char, c_int, c_void};

use libc::{O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_PATH, iovec, size_t, ssize_t};
use umc_protocol::HELLO_TUNNEL;
use umc_protocol::tunnel::{self as records, Ask, Open, Opened, Reply};

use crate::connection::{self, Owned};
use crate::device::{Kind, device_of};
use crate::fds;
use crate::map;
use crate::raw;
use crate::real::{self, fail, keeping_errno};
use crate::root::Root;

/// Errnos of a kernel that no program sees: a call that a signal ended, and one that is made again at once.
const RESTART: [i64; 3] = [512, 514, 516];
const RESTART_AT_ONCE: i64 = 513;

hooks! {
    fn read(fd: c_int, buf: *mut c_void, len: size_t) -> ssize_t {
        match fds::device(fd) {
            Some(_) => transfer(fd, records::Call::READ, buf, len),
            None => real::read(fd, buf, len),
        }
    }
    fn __read_chk(fd: c_int, buf: *mut c_void, len: size_t, room: size_t) -> ssize_t {
        match fds::device(fd) {
            Some(_) if len <= room => transfer(fd, records::Call::READ, buf, len),
            _ => real::__read_chk(fd, buf, len, room),
        }
    }
}

/// write(2) on an open device.
pub fn write(fd: c_int, buf: *const c_void, len: size_t) -> ssize_t {
    transfer(fd, records::Call::WRITE, buf, len)
}

fn transfer(fd: c_int, kind: u32, buf: *const c_void, len: size_t) -> ssize_t {
    let call = Call { kind, cmd: 0, arg: buf as u64, len: len as u64 };
    match keeping_errno(|| call.on_device(fd)) {
        Ok(done) => done as ssize_t,
        Err(error) => fail(error),
    }
}

/// ioctl(2) on an open device.
pub fn ioctl(fd: c_int, cmd: libc::Ioctl, arg: *mut c_void) -> c_int {
    answered(keeping_errno(|| Call::ioctl(cmd, arg).on_device(fd)))
}

/// ioctl(2) on the file of a block device.
pub fn block_ioctl(root: &Root, file: c_int, cmd: libc::Ioctl, arg: *mut c_void) -> c_int {
    answered(keeping_errno(|| Call::ioctl(cmd, arg).on_block_device(root, file)))
}

fn answered(answer: Result<i64, c_int>) -> c_int {
    match answer {
        Ok(value) => value as c_int,
        Err(error) => fail(error),
    }
}

/// open(2) of a name in the tree, where it is that of a character device; None else.
///
/// # Safety
/// `path` is a C string.
pub unsafe fn open(dir: c_int, path: *const c_char, flags: c_int) -> Option<c_int> {
    if flags & (O_PATH | O_DIRECTORY) != 0 {
        return None;
    }
    let root = Root::get()?;
    // SAFETY: by contract.
    let name = unsafe { CStr::from_ptr(path) }.to_bytes();
    let no_device = [&b"/sys"[..], b"/proc"];
    // Of the many files there none is one, and the question would be another request to the node.
    let below = name.strip_prefix(root.path()).unwrap_or(b"");
    if no_device.iter().any(|top| map::is_below(below, top)) {
        return None;
    }
    let status = keeping_errno(|| raw::fstatat(dir, path, 0)).ok()?;
    let (Kind::Char, number) = device_of(&status)? else { return None };
    if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
        return Some(fail(libc::EEXIST));
    }
    Some(match keeping_errno(|| open_device(root, number, flags)) {
        Ok(fd) => fd,
        Err(error) => fail(error),
    })
}

fn open_device(root: &Root, (major, minor): (u32, u32), flags: c_int) -> Result<c_int, c_int> {
    let mark = records::mark(major, minor).ok_or(libc::ENXIO)?;
    let socket = connection::open(root, &HELLO_TUNNEL)?;
    let open = Open { kind: Open::KIND, devt: major << 20 | minor, flags };
    raw::send(socket.fd(), &open.to_bytes())?;
    let mut answer = [0; Opened::LEN];
    let len = raw::receive(socket.fd(), &mut answer, 0)?;
    // A node that ends says nothing.
    match Opened::from_bytes(&answer[..len]) {
        None => return Err(libc::ENOTCONN),
        Some(Opened { error: 0, is_ready }) => {
            // What makes it readable is on its way.
            if is_ready != 0 {
                raw::receive(socket.fd(), &mut [0], libc::MSG_PEEK)?;
            }
        }
        Some(Opened { error, .. }) if RESTART.contains(&error.into()) => return Err(libc::EINTR),
        Some(Opened { error, .. }) => return Err(error),
    }
    raw::set_option(socket.fd(), libc::SO_RCVLOWAT, mark.cast_signed())?;
    raw::set_open_flags(socket.fd(), flags & O_NONBLOCK, flags & libc::O_CLOEXEC != 0)?;
    let fd = socket.keep();
    if !fds::insert_device(fd) {
        raw::close(fd);
        return Err(libc::EMFILE);
    }
    Ok(fd)
}

/// A system call that the node makes.
struct Call {
    kind: u32,
    cmd: u32,
    arg: u64,
    len: u64,
}

/// The ends of a call that stay here.
struct Ends {
    talk: Owned,
    signals: Owned,
}

impl Call {
    fn ioctl(cmd: libc::Ioctl, arg: *mut c_void) -> Call {
        Call { kind: records::Call::IOCTL, cmd: cmd as u32, arg: arg as u64, len: 0 }
    }

    fn on_device(&self, fd: c_int) -> Result<i64, c_int> {
        loop {
            let ends = self.make(fd, &[], raw::open_flags(fd)?)?;
            if let Some(done) = serve(&ends, Some(fd))? {
                return Ok(done);
            }
        }
    }

    fn on_block_device(&self, root: &Root, file: c_int) -> Result<i64, c_int> {
        loop {
            let ends = {
                // Where there is no node behind a tree there is no driver that knows the ioctl.
                let connection = connection::open(root, &HELLO_TUNNEL).map_err(|_| libc::ENOTTY)?;
                self.make(connection.fd(), &[file], 0)?
            };
            if let Some(done) = serve(&ends, None)? {
                return Ok(done);
            }
        }
    }

    /// Sends the call on a connection, with the ends of it that are the node's, and `more` descriptors.
    fn make(&self, connection: c_int, more: &[c_int], flags: c_int) -> Result<Ends, c_int> {
        let (talk, theirs) = raw::pair()?;
        let (read, signals) = raw::pipe()?;
        let (talk, theirs, read, signals) =
            (Owned::new(talk), Owned::new(theirs), Owned::new(read), Owned::new(signals));
        let flags = if flags & O_NONBLOCK != 0 { records::Call::NONBLOCKING } else { 0 };
        let Call { kind, cmd, arg, len } = *self;
        let record = records::Call { kind, flags, cmd, arg, len }.to_bytes();
        let mut fds = [theirs.fd(), read.fd(), 0];
        let count = 2 + more.len();
        fds[2..count].copy_from_slice(more);
        raw::send_with(connection, &record, None, &fds[..count]).map_err(|error| match error {
            libc::EPIPE | libc::ECONNRESET => libc::ENOTCONN,
            other => other,
        })?;
        Ok(Ends { talk, signals })
    }
}

/// Answers the node until it is done; None where the call is to be made again. `device` is the connection that may have to
/// be told that it is not ready any more.
fn serve(ends: &Ends, device: Option<c_int>) -> Result<Option<i64>, c_int> {
    let talk = ends.talk.fd();
    loop {
        let mut head = [0; Ask::LEN];
        let ask = match raw::receive(talk, &mut head, libc::MSG_PEEK) {
            Ok(_) => Ask::from_bytes(&head),
            Err(libc::EINTR) => {
                // A signal was handled, and its handler ends system calls.
                raw::write(ends.signals.fd(), b"s");
                continue;
            }
            Err(_) => None,
        };
        // The node is gone.
        let ask = ask.filter(|ask| ask.kind != 0).ok_or(libc::ENOTCONN)?;
        if ask.kind == Ask::RESULT {
            if let Some(device) = device.filter(|_| ask.number == Ask::WITHDRAW) {
                let _ = raw::receive(device, &mut [0; 8], libc::MSG_DONTWAIT);
            }
            return match ask.value.cast_signed() {
                error if error == -RESTART_AT_ONCE => Ok(None),
                error if RESTART.contains(&-error) => Err(libc::EINTR),
                error if (-4095..0).contains(&error) => Err(-error as c_int),
                value => Ok(Some(value)),
            };
        }
        answer(talk, ask)?;
    }
}

/// Takes a question, and replies to it.
fn answer(talk: c_int, ask: Ask) -> Result<(), c_int> {
    let memory = iovec { iov_base: ask.value as *mut c_void, iov_len: ask.len as usize };
    let take = || raw::receive(talk, &mut [0; Ask::LEN], libc::MSG_DONTWAIT).map(drop);
    let good = Reply { error: 0 }.to_bytes();
    let done = match ask.kind {
        Ask::FETCH => take().and_then(|()| raw::send_with(talk, &good, Some(memory), &[])),
        Ask::STORE => {
            let stored = raw::receive_into(talk, &mut [0; Ask::LEN], memory);
            // An address that no program can have is refused before the record is taken.
            let _ = stored.is_err().then(take);
            stored.and_then(|()| raw::send_with(talk, &good, None, &[]))
        }
        Ask::DESCRIPTOR => {
            let fd = ask.number.cast_signed();
            take().and_then(|()| raw::send_with(talk, &good, None, &[fd]))
        }
        _ => take().and(Err(libc::EINVAL)),
    };
    match done {
        Ok(()) => Ok(()),
        Err(error) => {
            raw::send_with(talk, &Reply { error }.to_bytes(), None, &[]).map_err(|_| libc::ENOTCONN)
        }
    }
}
