// SPDX-License-Identifier: GPL-2.0-only
//! A connection that is an open character device.
//!
//! Several calls may be under way at once, for threads and processes share it. One thread of the crew leads: it waits for
//! the next call. With a call in its hands it leaves the lead to another one, which is made if there is none, and makes the
//! call itself, so that a call alone changes no threads.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use parking_lot::Mutex;
use umc::char_file::CharFile;
use umc::mutex::KMutex;
use umc::sched::{Comm, Creds, with_comm, with_creds};
use umc::wait::WaitQueue;
use umc::{Devt, Errno, Result};
use umc_protocol::tunnel::{Ask, Call, Open, Opened, PIECE_MAX, READY};

use super::perform;
use crate::client::{Client, Event};
use crate::node::Node;

/// Who serves the calls of one device.
#[derive(Default)]
struct Crew {
    /// Somebody waits for the next call.
    is_led: bool,
    /// Threads that wait for the lead.
    waiting: u32,
    /// All threads.
    size: u32,
    /// The connection has ended.
    is_over: bool,
}

struct Device {
    node: &'static Node,
    client: Arc<Client>,
    file: CharFile,
    /// Who opened it.
    creds: Creds,
    crew: Mutex<Crew>,
    changed: WaitQueue,
    /// Whether a record that says "ready" waits at the caller's.
    is_announced: KMutex<bool>,
}

/// A call with what it brings along.
struct Wanted {
    call: Call,
    talk: OwnedFd,
    signals: OwnedFd,
}

/// What of a poll makes a descriptor readable: EPOLLIN, EPOLLERR and EPOLLHUP.
const READABLE: u32 = 0x19;

fn open(node: &'static Node, open: Open, creds: Creds) -> Result<CharFile> {
    let comm = u32::try_from(creds.pid).ok().filter(|pid| *pid != 0).and_then(Comm::of_process);
    let devt = Devt::from_raw(open.devt);
    with_comm(comm, || with_creds(creds, || CharFile::open(node.kernel, devt, open.flags)))
}

/// Opens the device, says how that went, and serves it until the last one closes it.
pub fn serve(node: &'static Node, client: &Arc<Client>, wanted: Open, creds: Creds) {
    let file = match open(node, wanted, creds) {
        Ok(file) => file,
        Err(error) => {
            let _ = client.send(&Opened { error: error.raw(), is_ready: 0 }.to_bytes());
            return;
        }
    };
    let device = Arc::new(Device {
        node,
        client: Arc::clone(client),
        file,
        creds,
        crew: Mutex::new(Crew { size: 1, ..Crew::default() }),
        changed: WaitQueue::new(),
        is_announced: KMutex::new(false),
    });
    let bell = Arc::downgrade(client);
    device.file.set_bell(Arc::new(move || {
        if let Some(client) = bell.upgrade() {
            client.ring();
        }
    }));
    // Who is told knows when the rest is there, and polls no earlier.
    let is_ready = device.file.poll() & READABLE != 0;
    let opened = Opened { error: 0, is_ready: is_ready.into() };
    *device.is_announced.lock() = is_ready;
    if client.send(&opened.to_bytes()).is_ok() && is_ready {
        let _ = client.send(&READY);
    }
    device.work();
    // The release comes after the last call.
    device.changed.wait_event_idle(|| device.crew.lock().size == 0);
}

impl Device {
    /// Serves calls as one of the crew.
    fn work(self: &Arc<Device>) {
        while self.take_lead() {
            let wanted = self.next();
            self.leave_lead(wanted.is_none());
            if let Some(wanted) = wanted {
                self.perform(wanted);
            }
        }
        self.crew.lock().size -= 1;
        self.changed.wake_up_all();
    }

    /// Waits until nobody leads, and leads; false where one more is not needed.
    fn take_lead(&self) -> bool {
        {
            let mut crew = self.crew.lock();
            if crew.is_over || (crew.is_led && crew.waiting > 0) {
                return false;
            }
            if !crew.is_led {
                crew.is_led = true;
                return true;
            }
            crew.waiting += 1;
        }
        let mut leads = false;
        self.changed.wait_event_idle(|| {
            let mut crew = self.crew.lock();
            if crew.is_led && !crew.is_over {
                return false;
            }
            crew.waiting -= 1;
            leads = !crew.is_over;
            crew.is_led |= leads;
            true
        });
        leads
    }

    /// Has somebody else wait for the next call, or nobody any more.
    fn leave_lead(self: &Arc<Device>, is_over: bool) {
        let is_alone = {
            let mut crew = self.crew.lock();
            crew.is_led = false;
            crew.is_over |= is_over;
            let is_alone = !is_over && crew.waiting == 0;
            crew.size += u32::from(is_alone);
            is_alone
        };
        self.changed.wake_up_all();
        if !is_alone {
            return;
        }
        let device = Arc::clone(self);
        let main = Box::new(move || device.work());
        if let Err(errno) = umc::kthread::spawn(self.node.kernel, "tunnel", main) {
            // The next call waits for the end of this one.
            tracing::warn!("no thread for the calls of a device: {errno}");
            self.crew.lock().size -= 1;
        }
    }

    /// The next call; None at the end of the connection, or after a record that is no call.
    fn next(&self) -> Option<Wanted> {
        let mut buf = vec![0; PIECE_MAX];
        loop {
            let bell = self.client.bell();
            match self.client.try_receive_with_all(&mut buf) {
                Ok(([], _)) => return None,
                Ok((data, fds)) if fds.is_empty() => self.take_data(data),
                Ok((record, fds)) => {
                    let call = Call::from_bytes(record)?;
                    let [talk, signals] = <[OwnedFd; 2]>::try_from(fds).ok()?;
                    return Some(Wanted { call, talk, signals });
                }
                Err(nix::Error::EAGAIN) => {
                    if matches!(self.client.wait(libc::POLLIN as u32, bell), Event::Bell) {
                        self.announce(false);
                    }
                }
                Err(nix::Error::EINTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Writes what a program's stdio put into the socket, which no hook sees: in order with the calls, and nobody is there
    /// who could be told of an error.
    fn take_data(&self, data: &[u8]) {
        let written = with_creds(self.creds, || self.file.write(data.as_ptr().addr(), data.len()));
        if written != data.len() as i64 {
            tracing::warn!("{} bytes that were written by stdio: result {written}", data.len());
        }
    }

    fn perform(&self, Wanted { call, talk, signals }: Wanted) {
        let work = || {
            let Call { kind, flags, cmd, arg, len } = call;
            self.file.set_nonblocking(flags & Call::NONBLOCKING != 0);
            let (addr, len) = (arg as usize, len as usize);
            match kind {
                Call::IOCTL => self.file.ioctl(cmd, arg),
                Call::READ => self.file.read(addr, len),
                Call::WRITE => self.file.write(addr, len),
                _ => Errno::ENOSYS.neg().into(),
            }
        };
        perform(self.node, (talk, signals), 0, work, || self.announce(true));
    }

    /// Says that the device is ready, if it is so and was not said; with `may_withdraw`, who asks takes it back otherwise,
    /// by the number that is the result.
    fn announce(&self, may_withdraw: bool) -> u32 {
        let mut is_announced = self.is_announced.lock();
        let is_ready = self.file.poll() & READABLE != 0;
        if is_ready && !*is_announced {
            // Without room in the socket it is full of what says the same, which does not happen.
            *is_announced = self.client.try_send(&READY).is_ok();
        } else if !is_ready && *is_announced && may_withdraw {
            *is_announced = false;
            return Ask::WITHDRAW;
        }
        0
    }
}
