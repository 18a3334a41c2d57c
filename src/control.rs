//! The control socket: one SEQPACKET socket, two services, a kernel thread for each client.
//!
//! Only the user who started the node, and root, are let in: the socket has mode 0600, and SO_PEERCRED is looked at
//! once more, because a mode can be changed.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use mte::{NEVER, Wake};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, recv,
    send, socket, sockopt,
};
use umc::sched::{Comm, Creds, with_comm};
use umc_protocol::{HELLO_CONTROL, HELLO_GENL, RECORD_MAX};

use crate::node::Node;

/// An eventfd that tells the main thread to end the node.
#[derive(Clone)]
pub struct StopFd(Arc<OwnedFd>);

impl StopFd {
    pub fn new() -> Result<StopFd> {
        // SAFETY: plain values.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("Cannot make an eventfd");
        }
        // SAFETY: the descriptor is fresh and ours.
        Ok(StopFd(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    pub fn raise(&self) {
        // SAFETY: the descriptor is open.
        unsafe { libc::eventfd_write(self.0.as_raw_fd(), 1) };
    }

    pub fn taken(&self) -> bool {
        let mut count = 0;
        // SAFETY: `count` is valid and the descriptor open; it does not block.
        unsafe { libc::eventfd_read(self.0.as_raw_fd(), &raw mut count) == 0 }
    }
}

impl AsRawFd for StopFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A client's connection. Shared by its thread and by whoever sends to it.
pub struct Client {
    fd: OwnedFd,
    /// Bumped and unparked when the client's thread has something to look at.
    bell: AtomicU32,
}

/// Why [`Client::wait`] returned.
pub enum Event {
    Ready,
    Bell,
}

impl Client {
    /// Receives one record into `buf`, which is empty at the end of the connection. Waits.
    ///
    /// # Errors
    /// EMSGSIZE for a record that is longer than `buf`.
    pub fn receive<'a>(&self, buf: &'a mut [u8]) -> nix::Result<&'a [u8]> {
        loop {
            match self.try_receive(buf).map(<[u8]>::len) {
                Ok(len) => return Ok(&buf[..len]),
                Err(nix::Error::EAGAIN) => {
                    self.wait(libc::POLLIN as u32, self.bell.load(Ordering::SeqCst));
                }
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives without waiting: `Err(EAGAIN)` when there is nothing.
    ///
    /// # Errors
    /// EMSGSIZE for a record that is longer than `buf`, which holds its beginning.
    pub fn try_receive<'a>(&self, buf: &'a mut [u8]) -> nix::Result<&'a [u8]> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        match recv(self.fd.as_raw_fd(), buf, flags)? {
            len if len > buf.len() => Err(nix::Error::EMSGSIZE),
            len => Ok(&buf[..len]),
        }
    }

    /// Sends one record without waiting.
    pub fn try_send(&self, record: &[u8]) -> nix::Result<()> {
        send(self.fd.as_raw_fd(), record, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).map(drop)
    }

    /// Sends one record; waits for room.
    pub fn send(&self, record: &[u8]) -> nix::Result<()> {
        loop {
            match self.try_send(record) {
                Err(nix::Error::EAGAIN) => {
                    self.wait(libc::POLLOUT as u32, self.bell.load(Ordering::SeqCst));
                }
                other => return other,
            }
        }
    }

    /// The bell's count, to be taken before looking at what the bell announces.
    pub fn bell(&self) -> u32 {
        self.bell.load(Ordering::SeqCst)
    }

    /// Wakes the client's thread.
    pub fn ring(&self) {
        self.bell.fetch_add(1, Ordering::SeqCst);
        mte::current().unpark(&self.bell, 1);
    }

    /// Waits until the socket is ready for `events`, or the bell is no longer at `bell`.
    pub fn wait(&self, events: u32, bell: u32) -> Event {
        match mte::current().fd_wait(self.fd.as_raw_fd(), events, &self.bell, bell, NEVER) {
            Wake::Ready => Event::Ready,
            _ => Event::Bell,
        }
    }
}

/// The listening socket and its clients.
pub struct Control {
    shared: Arc<Shared>,
    accept: umc::kthread::Thread,
}

struct Shared {
    node: &'static Node,
    listener: OwnedFd,
    closing: AtomicU32,
    clients: parking_lot::Mutex<Vec<(Arc<Client>, umc::kthread::Thread)>>,
}

impl Control {
    /// Starts to serve. A socket left by a node that was killed is replaced: the node's lock is ours.
    pub fn listen(node: &'static Node, path: &Path) -> Result<Control> {
        let _ = fs::remove_file(path);
        let listener = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .context("Cannot make the control socket")?;
        let address = UnixAddr::new(path)
            .with_context(|| format!("Cannot make the control socket: the path {} is too long. Use a shorter UMC_RUNTIME_DIR", path.display()))?;
        bind(listener.as_raw_fd(), &address)
            .with_context(|| format!("Cannot make the control socket {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .with_context(|| format!("Cannot protect the control socket {}", path.display()))?;
        listen(&listener, Backlog::new(64).unwrap_or(Backlog::MAXCONN))
            .context("Cannot listen on the control socket")?;
        let shared = Arc::new(Shared {
            node,
            listener,
            closing: AtomicU32::new(0),
            clients: Default::default(),
        });
        let accept = umc::kthread::spawn(node.kernel, "control", {
            let shared = Arc::clone(&shared);
            Box::new(move || accept_loop(&shared))
        })
        .map_err(|errno| anyhow::anyhow!("Cannot start the control thread: {errno}"))?;
        Ok(Control { shared, accept })
    }

    /// Ends every connection and every thread.
    pub fn close(self) {
        self.shared.closing.store(1, Ordering::SeqCst);
        mte::current().unpark(&self.shared.closing, 1);
        self.accept.join();
        let clients: Vec<_> = self.shared.clients.lock().drain(..).collect();
        for (client, thread) in clients {
            // SAFETY: the descriptor is open; its thread sees the end of the connection.
            unsafe { libc::shutdown(client.fd.as_raw_fd(), libc::SHUT_RDWR) };
            client.ring();
            thread.join();
        }
    }
}

fn accept_loop(shared: &Arc<Shared>) {
    let ops = mte::current();
    let mut number = 0;
    loop {
        let wake = ops.fd_wait(
            shared.listener.as_raw_fd(),
            libc::POLLIN as u32,
            &shared.closing,
            0,
            NEVER,
        );
        if shared.closing.load(Ordering::SeqCst) != 0 {
            return;
        }
        if wake != Wake::Ready {
            continue;
        }
        // SAFETY: null addresses are allowed.
        let fd = unsafe {
            libc::accept4(
                shared.listener.as_raw_fd(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            )
        };
        if fd < 0 {
            continue;
        }
        // SAFETY: the descriptor is fresh and ours.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        number += 1;
        let client = Arc::new(Client { fd, bell: AtomicU32::new(0) });
        let serve = {
            let (client, shared) = (Arc::clone(&client), Arc::clone(shared));
            Box::new(move || {
                serve(shared.node, &client);
                // The peer sees the end now, not when the list is swept.
                // SAFETY: the descriptor is open.
                unsafe { libc::shutdown(client.fd.as_raw_fd(), libc::SHUT_RDWR) };
            })
        };
        match umc::kthread::spawn(shared.node.kernel, &format!("control/{number}"), serve) {
            Ok(thread) => {
                let mut clients = shared.clients.lock();
                clients.retain(|(client, _)| Arc::strong_count(client) > 1);
                clients.push((client, thread));
            }
            Err(errno) => tracing::error!("no thread for a client of the control socket: {errno}"),
        }
    }
}

/// Who is at the other end; `None` for somebody who has no business here.
fn admit(client: &Client) -> Option<Creds> {
    let peer = getsockopt(&client.fd, sockopt::PeerCredentials).ok()?;
    let mine = nix::unistd::geteuid().as_raw();
    if peer.uid() != mine && peer.uid() != 0 {
        tracing::warn!(
            "refused a client of the control socket: pid {} of user {}",
            peer.pid(),
            peer.uid()
        );
        return None;
    }
    // The node's owner is its root.
    Some(Creds { pid: peer.pid(), uid: 0, caps: u64::MAX })
}

fn serve(node: &'static Node, client: &Arc<Client>) {
    let Some(creds) = admit(client) else { return };
    // 0: a process of another pid namespace.
    let comm = u32::try_from(creds.pid).ok().filter(|pid| *pid != 0).and_then(Comm::of_process);
    let mut buf = vec![0; RECORD_MAX];
    with_comm(comm, || match client.receive(&mut buf) {
        Ok(hello) if *hello == HELLO_GENL => crate::genl::serve(node, client, creds, &mut buf),
        Ok(hello) if *hello == HELLO_CONTROL => crate::requests::serve(node, client, &mut buf),
        _ => {}
    });
}
