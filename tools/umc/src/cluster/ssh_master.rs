// SPDX-License-Identifier: GPL-2.0-only
//! Masters of umc's ssh: a process that listens on the path that -S names, and says which node it is of.
//!
//! Nothing passes through it. It is there for tools that begin a connection once, use it by its path alone, and end it.
//! A client sends a word, and is answered with `NODE PID`.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use umc_protocol::process::Process;

/// A client and a master wait so long for each other.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a master that begins is looked for, and how many times.
const LOOK_MS: u8 = 20;
const LOOKS_MAX: usize = 500;
/// The longest word, and the longest answer.
const WORD_MAX: u64 = 300;

/// What a master is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Whether it is there.
    Check,
    /// Not to be there any more.
    Exit,
}

/// Who answered.
#[derive(Debug, PartialEq)]
pub struct Master {
    /// The node.
    pub node: String,
    /// Its process.
    pub pid: String,
}

impl Order {
    /// The order behind -O.
    ///
    /// # Errors
    /// It is about forwarding, which there is none of.
    pub fn of(word: &str) -> Result<Order> {
        match word {
            "check" => Ok(Order::Check),
            "exit" | "stop" => Ok(Order::Exit),
            other => bail!("ssh: -O {other} is not supported here: check, exit and stop are"),
        }
    }

    /// What ssh says then.
    pub fn done(self, master: &Master) -> String {
        match self {
            Order::Check => format!("Master running (pid={})", master.pid),
            Order::Exit => "Exit request sent.".into(),
        }
    }
}

/// Asks the master on a path.
///
/// # Errors
/// There is none.
pub fn ask(socket: &Path, order: Order) -> Result<Master> {
    let cannot = || format!("Control socket connect({})", socket.display());
    let mut stream = UnixStream::connect(socket).with_context(cannot)?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(cannot)?;
    let word = if order == Order::Exit { "exit\n" } else { "check\n" };
    stream.write_all(word.as_bytes()).with_context(cannot)?;
    let mut answer = String::new();
    stream.take(WORD_MAX).read_to_string(&mut answer).with_context(cannot)?;
    let (node, pid) = answer.trim().split_once(' ').with_context(cannot)?;
    Ok(Master { node: node.to_owned(), pid: pid.to_owned() })
}

/// Waits until a master listens, as long as it goes on: whether it does.
pub fn await_it(socket: &Path, mut goes_on: impl FnMut() -> bool) -> bool {
    for _ in 0..LOOKS_MAX {
        if ask(socket, Order::Check).is_ok() {
            return true;
        }
        if !goes_on() {
            return false;
        }
        let _ = poll(&mut [], PollTimeout::from(LOOK_MS));
    }
    false
}

/// Is the master of a node until it is told to end, or by a signal, or because the keeper of its cluster ends.
///
/// # Errors
/// Somebody listens there already, or nobody can; or there is something else.
pub fn serve(socket: &Path, node: &str, keeper: &Process) -> Result<()> {
    let cannot = || format!("Cannot listen on {}", socket.display());
    if ask(socket, Order::Check).is_ok() {
        bail!("{} has a master already", socket.display());
    }
    remove_if_dead(socket)?;
    let mut mask = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|s| mask.add(s));
    mask.thread_block().context("Cannot block signals")?;
    let ended =
        SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).context("Cannot wait for signals")?;
    let listener = UnixListener::bind(socket).with_context(cannot)?;
    let own = identity(socket);
    let answer = format!("{node} {}\n", std::process::id());
    loop {
        let [asked, signals] =
            [&listener.as_fd(), &ended.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
        let mut fds = [asked, signals, keeper.poll_fd()];
        let _ = poll(&mut fds, PollTimeout::NONE);
        let [is_asked, is_ended, is_over] = fds.map(|fd| fd.any().unwrap_or(false));
        if is_ended || is_over || (is_asked && hear(&listener, &answer)) {
            // Another one may be there by now.
            if own.is_some() && identity(socket) == own {
                let _ = fs::remove_file(socket);
            }
            return Ok(());
        }
    }
}

/// What is at a path, whatever else is there later.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|of| (of.dev(), of.ino()))
}

/// Removes a socket on which nobody listens, and nothing else.
fn remove_if_dead(socket: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(socket) else { return Ok(()) };
    let is_dead = found.file_type().is_socket()
        && UnixStream::connect(socket)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    if !is_dead {
        bail!(
            "{} is there already, and is no socket that a master left. Choose another path, or remove it",
            socket.display()
        );
    }
    fs::remove_file(socket).with_context(|| format!("Cannot remove {}", socket.display()))
}

/// Answers one client: whether it wants an end.
fn hear(listener: &UnixListener, answer: &str) -> bool {
    let Ok((mut client, _)) = listener.accept() else { return false };
    let _ = client.set_read_timeout(Some(PATIENCE));
    let mut word = [0; 16];
    let said = client.read(&mut word).unwrap_or_default();
    let _ = client.write_all(answer.as_bytes());
    &word[..said] == b"exit\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_answers_until_it_is_told_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert!(ask(&path, Order::Check).is_err());
        let me = Process::checked(std::process::id(), || true).unwrap().unwrap();
        std::thread::scope(|scope| {
            let master = scope.spawn(|| serve(&path, "n1", &me));
            assert!(await_it(&path, || true));
            assert_eq!(ask(&path, Order::Check).unwrap().node, "n1");
            assert!(serve(&path, "n2", &me).unwrap_err().to_string().contains("already"));
            ask(&path, Order::Exit).unwrap();
            master.join().unwrap().unwrap();
        });
        assert!(!path.exists());
        assert!(Order::of("forward").is_err());
    }
    #[test]
    fn nothing_but_a_dead_socket_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        remove_if_dead(&path).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        remove_if_dead(&path).unwrap();
        assert!(!path.exists());
        fs::write(&path, "somebody's").unwrap();
        assert!(remove_if_dead(&path).unwrap_err().to_string().contains("Choose another path"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
    }
}
