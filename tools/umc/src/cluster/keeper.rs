// SPDX-License-Identifier: GPL-2.0-only
//! The keeper: the process that a cluster stands on. It has the namespaces of the nodes and the switch of their network, and
//! does what commands [ask](super::talk).
//!
//! The connection on its standard input is that of the command which brings the cluster up. Until that command says that
//! the cluster is to be kept, the cluster ends with it; so what was begun by a command that was killed does not stay. When
//! the keeper itself ends, the [sweeper](super::sweep) clears up.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::SockFlag;
use nix::sys::socket::{Backlog, accept4, listen};
use nix::sys::time::TimeSpec;
use nix::unistd::setsid;

use super::network;
use super::place::{Life, Place, Record};
use super::quality::Quality;
use super::spaces::{self, Kept};
use super::sweep::{KEEP, REMOVE};
use super::talk::{self, Answer, Ask};
use super::wire::Wire;

/// `umc cluster keep DIR`.
///
/// # Errors
/// It could not begin; the connection on standard input is told too.
pub fn run(dir: &Path) -> Result<()> {
    let _ = setsid();
    let owner = talk::standard_input();
    match Keeper::begin(dir) {
        Ok(mut keeper) => {
            keeper.answer(owner.as_raw_fd(), Ok(()));
            keeper.clients.push(Client { fd: owner, is_owner: true });
            keeper.work()
        }
        Err(error) => {
            let failed = Answer::Failed(format!("{error:#}"));
            let text = serde_json::to_vec(&failed).context("the answer as JSON")?;
            let _ = talk::put(owner.as_raw_fd(), &text);
            Err(error)
        }
    }
}

/// `umc cluster probe`: makes what a cluster stands on, and lets it go at once.
///
/// # Errors
/// The host does not allow it: the text says what is missing.
pub fn probe() -> Result<()> {
    let user = spaces::leave_host()?;
    network::lay(&[])?;
    network::try_wire()?;
    println!(
        "namespaces{}, networks, and links that are cut, slow or lossy",
        if user.is_some() { " without being root" } else { "" }
    );
    Ok(())
}

struct Client {
    fd: OwnedFd,
    /// The cluster depends on it.
    is_owner: bool,
}

struct Keeper {
    nodes: Vec<Kept>,
    user: Option<File>,
    wire: Wire,
    listener: OwnedFd,
    clients: Vec<Client>,
    sweeper: Child,
    to_sweeper: ChildStdin,
    place: Place,
}

/// It inherits the lock of the cluster.
fn start_sweeper(dir: &Path) -> Result<(Child, ChildStdin)> {
    // By its link: it is there also when its file was replaced meanwhile.
    let mut sweeper = Command::new("/proc/self/exe")
        .arg0("umc")
        .args(["cluster", "sweep"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("Cannot start the sweeper")?;
    let to = sweeper.stdin.take().context("a sweeper without a pipe")?;
    Ok((sweeper, to))
}

/// What a round of the loop found to do.
enum Turn {
    Accept,
    Hear(usize),
    SweeperGone,
    Take(super::wire::Port),
}

impl Keeper {
    fn begin(dir: &Path) -> Result<Keeper> {
        let place = Place::at(dir)?;
        let plan = place.plan()?;
        let (sweeper, to_sweeper) = start_sweeper(dir)?;
        let listener = talk::new_socket().context("Cannot make a socket")?;
        let _ = fs::remove_file(place.socket());
        umc_protocol::address::bind_to(&listener, &place.socket())
            .with_context(|| format!("Cannot listen on {}", place.socket().display()))?;
        listen(&listener, Backlog::new(16)?).context("Cannot listen")?;
        let user = spaces::leave_host()?;
        let nodes = plan.nodes.iter().map(|node| spaces::make(&place, &plan, &node.name));
        let nodes: Vec<Kept> = nodes.collect::<Result<_>>()?;
        let mut keeper = Keeper {
            nodes,
            user,
            wire: Wire::new(),
            listener,
            clients: Vec::new(),
            sweeper,
            to_sweeper,
            place,
        };
        keeper.tell_sweeper()?;
        network::lay(&keeper.nodes)?;
        for (node, kept) in plan.nodes.iter().zip(&keeper.nodes) {
            let path = keeper.place.dir.join(format!("{}.mounts", node.name));
            fs::write(&path, &kept.mounts)
                .with_context(|| format!("Cannot write {}", path.display()))?;
        }
        keeper.publish()?;
        Ok(keeper)
    }

    /// Which namespaces are the cluster's. From here on nothing of it can stay behind.
    fn tell_sweeper(&mut self) -> Result<()> {
        let mounts = self.nodes.iter().map(|kept| format!("/proc/self/fd/{}", kept.spaces().mnt));
        let mut spaces: Vec<PathBuf> = Vec::new();
        for path in mounts.chain(["/proc/self/ns/mnt".to_owned()]) {
            spaces.push(fs::read_link(&path).with_context(|| format!("Cannot read {path}"))?);
        }
        let text: String = spaces.iter().map(|space| format!("{}\n", space.display())).collect();
        self.to_sweeper.write_all(text.as_bytes()).context("Cannot tell the sweeper")
    }

    fn publish(&self) -> Result<()> {
        let record = Record {
            keeper: Life::of(std::process::id())?,
            sweeper: Life::of(self.sweeper.id())?,
            user: self.user.as_ref().map(AsRawFd::as_raw_fd),
            spaces: self.nodes.iter().map(Kept::spaces).collect(),
        };
        let place = &self.place;
        let (file, new) = (place.record_file(), place.dir.join(".cluster.json"));
        let text = serde_json::to_vec_pretty(&record).context("the record as JSON")?;
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &file))
            .with_context(|| format!("Cannot write {}", file.display()))
    }

    /// Somebody killed it: another one takes its place.
    fn replace_sweeper(&mut self) -> Result<()> {
        let _ = self.sweeper.wait();
        (self.sweeper, self.to_sweeper) = start_sweeper(&self.place.dir)?;
        self.tell_sweeper()?;
        self.publish()
    }

    fn work(&mut self) -> Result<()> {
        loop {
            for turn in self.wait()? {
                match turn {
                    Turn::Take(port) => self.wire.take(port),
                    Turn::Accept => self.accept(),
                    Turn::SweeperGone => self.replace_sweeper()?,
                    Turn::Hear(client) => {
                        if self.hear(client)? {
                            return Ok(());
                        }
                    }
                }
            }
            self.wire.tick();
        }
    }

    fn wait(&self) -> Result<Vec<Turn>> {
        let (ports, mut fds) = self.wire.poll_fds();
        let first = fds.len();
        // A pipe that nobody reads any more is an error.
        fds.push(PollFd::new(self.to_sweeper.as_fd(), PollFlags::empty()));
        fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        fds.extend(self.clients.iter().map(|c| PollFd::new(c.fd.as_fd(), PollFlags::POLLIN)));
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        let patience = self.wire.due().map(|due| due.saturating_duration_since(Instant::now()));
        match ppoll(&mut fds, patience.map(TimeSpec::from), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("Cannot wait"),
        }
        let is_ready = |at: usize| fds[at].any().unwrap_or(true);
        let mut turns: Vec<Turn> = ports
            .iter()
            .enumerate()
            .filter(|(at, _)| is_ready(*at))
            .map(|(_, port)| Turn::Take(*port))
            .collect();
        if is_ready(first) {
            turns.push(Turn::SweeperGone);
        }
        // One client at a time: it may be gone behind that, and others have another number.
        if let Some(client) = (0..self.clients.len()).find(|at| is_ready(first + 2 + at)) {
            turns.push(Turn::Hear(client));
        }
        if is_ready(first + 1) {
            turns.push(Turn::Accept);
        }
        Ok(turns)
    }

    fn accept(&mut self) {
        use std::os::fd::FromRawFd;
        if let Ok(fd) = accept4(self.listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: the call returned a new descriptor, which nobody else owns.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            self.clients.push(Client { fd, is_owner: false });
        }
    }

    /// Does what a client asks: whether the cluster ends.
    fn hear(&mut self, at: usize) -> Result<bool> {
        let fd = self.clients[at].fd.as_raw_fd();
        let ask = match talk::get(fd) {
            Ok(Some(text)) => serde_json::from_slice::<Ask>(&text),
            _ => return Ok(self.clients.remove(at).is_owner),
        };
        let mut ends = false;
        let result = match ask {
            Err(error) => Err(error.into()),
            Ok(Ask::Links) => Ok(()),
            Ok(Ask::Keep) => {
                self.clients[at].is_owner = false;
                Ok(())
            }
            Ok(Ask::Link { between, quality }) if between.1 < self.nodes.len() => {
                self.set_link(between, quality)
            }
            Ok(Ask::Link { .. }) => Err(anyhow!("The cluster has no such node")),
            Ok(Ask::Down { keep }) => {
                ends = true;
                let word = if keep { KEEP } else { REMOVE };
                writeln!(self.to_sweeper, "{word}").context("Cannot tell the sweeper")
            }
        };
        self.answer(fd, result);
        Ok(ends)
    }

    /// Gives a link another quality, or leaves it as it was.
    fn set_link(&mut self, between: (usize, usize), quality: Quality) -> Result<()> {
        let was = self.wire.links().into_iter().find(|(link, _)| *link == between);
        self.wire.set(between, quality);
        network::connect(&mut self.wire, &self.nodes).inspect_err(|_| {
            self.wire.set(between, was.map_or_else(Quality::default, |(_, quality)| quality));
            // What can be mended is.
            let _ = network::connect(&mut self.wire, &self.nodes);
        })
    }

    fn answer(&self, to: i32, result: Result<()>) {
        let answer = match result {
            Ok(()) => Answer::Done { links: self.wire.links() },
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        if let Ok(text) = serde_json::to_vec(&answer) {
            // Who asked may be gone by now.
            let _ = talk::put(to, &text);
        }
    }
}
