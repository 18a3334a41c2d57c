// SPDX-License-Identifier: GPL-2.0-only
//! The FUSE export of a node: its `/dev`, `/proc` and `/sys`, and its block devices as files that do I/O.
//!
//! [`mount`] shows a kernel's tree at a directory of the host. A block device appears as a regular file of its size,
//! opened for direct I/O, since the host's cache would take the size of a device into its own hands
//! (`docs/coming-from-a-kernel-drbd.md`, "No page cache"): an open of the file is an open of the device (its mode, its
//! exclusive claim, its errors), reads and writes become bios, `fsync` a flush, `fallocate` discards and zeroes. Its
//! inode number tells the device ([`umc::tree::block_ino`]).
//!
//! The parts: `mountpoint` puts a connection onto a directory and takes it away; `connection` ends it; `server` answers
//! the kernel's requests; `disk` is an open block device, `ending` the end of an open; `claims` are those of the host's
//! loop devices, which `users` finds; `ranges` keeps writes of odd sizes and others apart; `lanes` are threads for what
//! may block; `loops` watches the threads that read requests; `probe` sends requests of our own; `caller` fetches what
//! FUSE leaves out.
//!
//! Rules that keep it alive: the loop threads never wait for a driver unless another one is left to read requests (see
//! `lanes`); `poll` is there only for drivers that need it (it makes two requests of every one of io_uring:
//! [`umc::tree::Bells`]); the node never opens a file of its own mount but in `probe`.

#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)] // they panic when nobody can be told

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{Session, SessionACL};
use umc::kprintln;
use umc::printk::Level;
use umc::{Kernel, blkdev};

mod attr;
mod caller;
mod claims;
mod connection;
mod disk;
mod ending;
mod handles;
mod lanes;
mod loops;
mod mountpoint;
mod names;
mod probe;
mod ranges;
mod server;
mod shared;
mod users;

pub use mountpoint::clear_stale;
pub use users::{is_used_by_only, users};

use connection::Connection;
use mountpoint::MountPoint;
use probe::Probe;
use server::Server;
use shared::Shared;

/// How long [`Mount::settle`] waits at most.
const SETTLE_NS: u64 = 2_000_000_000;

/// What went wrong, in one sentence with the next step.
#[derive(Debug)]
pub struct Error {
    text: String,
    source: Option<io::Error>,
}

impl Error {
    pub(crate) fn new(text: impl Into<String>, source: Option<io::Error>) -> Error {
        Error { text: text.into(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// How a tree is served.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads that read requests. All but one may be inside a driver at a time; the rest is handed to other threads.
    pub loops: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { loops: 3 }
    }
}

/// A mounted tree. Unmounted by [`Mount::unmount`], or when dropped.
pub struct Mount {
    shared: Arc<Shared>,
    point: MountPoint,
    connection: Connection,
    extra: Vec<String>,
    session: Option<fuser::BackgroundSession>,
}

/// Shows the tree of `kernel` at the empty directory `root`. Each of `extra` becomes a symbolic link `/.umc/NAME`.
///
/// # Errors
/// When the directory is missing, not empty or in use, or FUSE cannot be used; the text says what to do.
pub fn mount(
    kernel: &'static Kernel,
    root: &Path,
    extra: Vec<(String, PathBuf)>,
) -> Result<Mount, Error> {
    mount_with(kernel, root, extra, Options::default())
}

/// [`mount`] with options.
///
/// # Errors
/// As [`mount`].
pub fn mount_with(
    kernel: &'static Kernel,
    root: &Path,
    extra: Vec<(String, PathBuf)>,
    options: Options,
) -> Result<Mount, Error> {
    umc::sched::attach(kernel, "fusefs");
    let (point, fd) = MountPoint::new(kernel, root)?;
    let connection = Connection::new(&fd);
    let links = add_links(kernel, extra);
    let shared = Arc::new(Shared::new(kernel, point.root(), options.loops.max(2)));
    let started = start(&shared, fd, options.loops.max(2));
    let session = match started {
        Ok(session) => session,
        Err(error) => {
            // The session has closed its side.
            point.detach();
            remove_links(kernel, &links);
            let text = format!("Cannot serve {}: FUSE handshake: {error}.", root.display());
            return Err(Error::new(text, Some(error)));
        }
    };
    let mount = Mount { shared, point, connection, extra: links, session: Some(session) };
    // An error drops the mount, which takes the tree away again.
    let probe = Probe::start(kernel, root.to_owned()).map_err(|errno| {
        let text = format!("Cannot serve {}: no thread to be had: {errno}.", root.display());
        Error::new(text, Some(io::Error::from_raw_os_error(errno.raw())))
    })?;
    let _ = mount.shared.probe.set(probe);
    let told = Arc::downgrade(&mount.shared);
    blkdev::on_size_change(kernel, move |name| {
        let shared = told.upgrade();
        if let Some(probe) = shared.as_ref().and_then(|shared| shared.probe.get()) {
            probe.resized(name);
        }
    });
    kprintln!(kernel => Level::Info, "umc: tree mounted at {}", root.display());
    Ok(mount)
}

fn start(
    shared: &Arc<Shared>,
    fd: std::os::fd::OwnedFd,
    loops: usize,
) -> io::Result<fuser::BackgroundSession> {
    let mut config = fuser::Config::default();
    config.n_threads = Some(loops);
    config.acl = SessionACL::All;
    // The kernel lets only the mount's owner in (no allow_other), so fuser need not judge a second time.
    Session::from_fd(Server(shared.clone()), fd, SessionACL::All, config)?.spawn()
}

fn add_links(kernel: &'static Kernel, extra: Vec<(String, PathBuf)>) -> Vec<String> {
    let mut links = Vec::new();
    for (name, target) in extra {
        let path = format!("/.umc/{name}");
        match kernel.tree.add_symlink(&path, &target.to_string_lossy()) {
            Ok(()) => links.push(path),
            Err(error) => {
                kprintln!(kernel => Level::Warning, "umc: cannot add {path} to the tree: {error}")
            }
        }
    }
    links
}

fn remove_links(kernel: &Kernel, links: &[String]) {
    for path in links {
        let _ = kernel.tree.remove(path);
    }
}

impl Mount {
    /// Whether requests are still served; false after somebody else unmounted the tree.
    pub fn is_alive(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.guard.is_finished())
    }

    /// Waits until every device that a process closed before this call is released by its driver. The release of a file
    /// reaches a FUSE server after close(2) returned; who looks for users of a device after a tool has ended calls this
    /// first.
    ///
    /// The request sent here stands behind those releases in the connection's queues. False: not within two seconds,
    /// because the driver's release is blocked, or as many asynchronous requests as the host sends at a time. Not from a
    /// thread that serves the tree.
    pub fn settle(&self) -> bool {
        umc::sched::attach(self.shared.kernel, "fusefs");
        !self.is_alive() || self.shared.settle()
    }

    /// [`Mount::settle`] for a caller who has `own` block devices open himself: where nobody has any other, there is nothing
    /// to wait for.
    pub fn settle_others(&self, own: usize) -> bool {
        self.shared.has_no_more_than(own) || self.settle()
    }

    /// Takes the tree away, even from under open files and from other mount namespaces: those get errors, and their
    /// devices are released. Joins every thread.
    ///
    /// # Errors
    /// When the host does not let go of the mount, which is dead then; what remains is named.
    pub fn unmount(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let kernel = self.shared.kernel;
        umc::sched::attach(kernel, "fusefs");
        let is_unused = self.point.unmount();
        if !is_unused {
            kprintln!(kernel => Level::Notice, "umc: {} is in use; its users get errors now", self.point.path());
        }
        if let Err(error) = self.connection.cut() {
            // Nor do its threads end then: joining them would wait for ever.
            std::mem::forget(session);
            let text = format!("Cannot end the FUSE connection of {}: {error}.", self.point.path());
            return Err(Error::new(text, Some(error)));
        }
        if let Some(probe) = self.shared.probe.get() {
            probe.end();
        }
        // The error of a connection that was cut says nothing.
        let _ = session.join();
        self.shared.close_all();
        remove_links(kernel, &self.extra);
        if !is_unused {
            self.point.detach();
        }
        if self.point.is_ours() {
            let text = format!(
                "Cannot remove the dead mount from {0}: the host refuses. Run umount -l {0}.",
                self.point.path()
            );
            return Err(Error::new(text, None));
        }
        kprintln!(kernel => Level::Info, "umc: tree unmounted from {}", self.point.path());
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            kprintln!(self.shared.kernel => Level::Err, "umc: {error}");
        }
    }
}
