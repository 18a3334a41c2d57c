// SPDX-License-Identifier: GPL-2.0-only
//! Masters of umc's ssh: a process that listens on the path that -S names, and says which node it is of.
//!
//! Nothing passes through it. It is there for tools that begin a connection once, use it by its path alone, and end it.
//! A client sends a word, and is answered with `NODE PID`.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

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

/// Is the master of a node until it is told to end, or by a signal.
///
/// # Errors
/// Somebody listens there already, or nobody can.
pub fn serve(socket: &Path, node: &str) -> Result<()> {
    let cannot = || format!("Cannot listen on {}", socket.display());
    if ask(socket, Order::Check).is_ok() {
        bail!("{} has a master already", socket.display());
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(cannot);
        }
        _ => {}
    }
    let mut mask = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|s| mask.add(s));
    mask.thread_block().context("Cannot block signals")?;
    let ended =
        SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).context("Cannot wait for signals")?;
    let listener = UnixListener::bind(socket).with_context(cannot)?;
    let answer = format!("{node} {}\n", std::process::id());
    loop {
        let mut fds =
            [&listener.as_fd(), &ended.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
        let _ = poll(&mut fds, PollTimeout::NONE);
        let [is_asked, is_ended] = fds.map(|fd| fd.any().unwrap_or(false));
        if is_ended || (is_asked && hear(&listener, &answer)) {
            let _ = fs::remove_file(socket);
            return Ok(());
        }
    }
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
        std::thread::scope(|scope| {
            let master = scope.spawn(|| serve(&path, "n1"));
            assert!(await_it(&path, || true));
            assert_eq!(ask(&path, Order::Check).unwrap().node, "n1");
            assert!(serve(&path, "n2").unwrap_err().to_string().contains("already"));
            ask(&path, Order::Exit).unwrap();
            master.join().unwrap().unwrap();
        });
        assert!(!path.exists());
        assert!(Order::of("forward").is_err());
    }
}
