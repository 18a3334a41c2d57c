// SPDX-License-Identifier: GPL-2.0-only
//! The control socket: one SEQPACKET socket, three services, a kernel thread for each client.
//!
//! Only the user who started the node, and root, are let in: the socket has mode 0600, and SO_PEERCRED is looked at
//! once more, because a mode can be changed.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use mte::{NEVER, Wake};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, accept4, listen, socket};
use umc::sched::{Comm, Creds, with_comm};
use umc_protocol::{HELLO_CONTROL, HELLO_GENL, HELLO_TUNNEL, RECORD_MAX};

use crate::client::Client;
use crate::node::Node;

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
        umc_protocol::address::bind_to(&listener, path)
            .with_context(|| format!("Cannot make the control socket {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .with_context(|| format!("Cannot protect the control socket {}", path.display()))?;
        listen(&listener, Backlog::new(64).unwrap_or(Backlog::MAXCONN))
            .context("Cannot listen on the control socket")?;
        // Without it from the start, a client too many would wait for ever.
        let spare = File::open("/dev/null").context("Cannot keep a file descriptor in reserve")?;
        let shared = Arc::new(Shared {
            node,
            listener,
            closing: AtomicU32::new(0),
            clients: Default::default(),
        });
        let accept = umc::kthread::spawn(node.kernel, "control", {
            let shared = Arc::clone(&shared);
            Box::new(move || accept_loop(&shared, spare))
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
            client.end();
            thread.join();
        }
    }
}

fn accept(listener: &OwnedFd) -> nix::Result<OwnedFd> {
    let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    // SAFETY: the descriptor is fresh and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the host time to have again what was missing; the end of the node ends it.
fn pause(closing: &AtomicU32) {
    let ops = mte::current();
    ops.park(closing, 0, ops.now_ns() + 50_000_000);
}

fn accept_loop(shared: &Arc<Shared>, spare: File) {
    let ops = mte::current();
    let mut number = 0;
    let mut spare = Some(spare);
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
        let fd = match accept(&shared.listener) {
            Ok(fd) => fd,
            Err(nix::Error::EMFILE | nix::Error::ENFILE) => {
                // Left in the queue it would be announced again and again: it is taken in the spare's place, and ended.
                drop(spare.take());
                if accept(&shared.listener).is_ok() {
                    tracing::error!(
                        "a client of the control socket was turned away: no file descriptor is free"
                    );
                }
                spare = File::open("/dev/null").ok();
                pause(&shared.closing);
                continue;
            }
            // The client went away, or the host is out of memory.
            Err(_) => {
                pause(&shared.closing);
                continue;
            }
        };
        number += 1;
        let client = Arc::new(Client::new(fd));
        let serve = {
            let (client, shared) = (Arc::clone(&client), Arc::clone(shared));
            Box::new(move || {
                serve(shared.node, &client);
                // The peer sees the end now, not when the list is swept.
                client.end();
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
pub fn admit(client: &Client) -> Option<Creds> {
    let peer = client.peer().ok()?;
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
        Ok(hello) if *hello == HELLO_TUNNEL => crate::tunnel::serve(node, client, creds),
        Ok(hello) if *hello == HELLO_CONTROL => crate::requests::serve(node, client, &mut buf),
        _ => {}
    });
}
