// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster ssh`: what tools that reach a machine by ssh call to reach a node ([shim](super::ssh_shim)).
//!
//! It is called as OpenSSH's ssh is. A command is given to a shell, which leads a session of its own on the node and has an
//! environment as sshd would make it; signals that end this process are passed on, and its exit status is that of the
//! command. There is no network in between, so nothing is encrypted, and nobody has to prove who he is: who may enter the
//! node may come.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use umc_protocol::process::Process;

use super::conf;
use super::live::Live;
use super::ssh_master::{self as master, Order};

/// What ssh ends with when it is its own failure.
const FAILED: i32 = 255;
/// Set for the process in the background that -f leaves.
const IN_BACKGROUND: &str = "UMC_SSH_IN_BACKGROUND";
const WITHOUT_ARGUMENT: &str = "46AaCfGgKkMNnqsTtVvXxYy";
const WITH_ARGUMENT: &str = "BbcDEeFIiJLlmOoPpQRSWw";
/// Programs for `ssh -s sftp`.
const SFTP_SERVERS: [&str; 2] =
    ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server"];

/// A command line of ssh, as far as it matters here.
#[derive(Debug, Default, PartialEq)]
struct Line {
    host: Option<String>,
    command: Vec<String>,
    socket: Option<PathBuf>,
    order: Option<String>,
    is_master: bool,
    is_idle: bool,
    in_background: bool,
    no_input: bool,
    is_subsystem: bool,
    version: bool,
}

impl Line {
    fn of(arguments: &[String]) -> Result<Line> {
        let mut line = Line::default();
        let mut words = arguments.iter().peekable();
        // Options end at the host's second word, and may stand behind the first, as ssh has it.
        while let Some(word) = words.next() {
            let letters = match word.strip_prefix('-') {
                Some("-") => {
                    line.rest(&mut words);
                    break;
                }
                Some(letters) if !letters.is_empty() => letters,
                _ if line.host.is_none() => {
                    line.host = Some(host(word));
                    if !words.peek().is_some_and(|next| next.starts_with('-')) {
                        line.rest(&mut words);
                        break;
                    }
                    continue;
                }
                _ => {
                    line.command.push(word.clone());
                    line.rest(&mut words);
                    break;
                }
            };
            line.letters(letters, &mut words)?;
        }
        Ok(line)
    }

    fn rest<'a>(&mut self, words: &mut impl Iterator<Item = &'a String>) {
        if self.host.is_none() {
            self.host = words.next().map(|word| host(word));
        }
        self.command.extend(words.cloned());
    }

    /// Options of one word.
    fn letters<'a>(
        &mut self,
        letters: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        for (at, letter) in letters.char_indices() {
            if WITH_ARGUMENT.contains(letter) {
                let behind = &letters[at + letter.len_utf8()..];
                let value = match behind {
                    "" => words.next().with_context(|| format!("ssh: -{letter} wants a value"))?,
                    _ => behind,
                };
                return self.option(letter, value);
            }
            match letter {
                'M' => self.is_master = true,
                'N' => self.is_idle = true,
                'f' => self.in_background = true,
                'n' => self.no_input = true,
                's' => self.is_subsystem = true,
                'V' => self.version = true,
                'G' => bail!("ssh: -G is not supported here (this is umc's ssh)"),
                _ if WITHOUT_ARGUMENT.contains(letter) => {}
                _ => bail!("ssh: -{letter} is no option that umc's ssh knows"),
            }
        }
        Ok(())
    }

    fn option(&mut self, letter: char, value: &str) -> Result<()> {
        match letter {
            'S' => self.socket = (value != "none").then(|| value.into()),
            'O' => self.order = Some(value.to_owned()),
            'D' | 'J' | 'L' | 'R' | 'W' | 'w' => bail!(
                "ssh: -{letter}: umc's ssh forwards nothing. What runs on a node reaches it: umc cluster exec NODE -- CMD"
            ),
            'o' => {
                let (key, value) = value.split_once(['=', ' ']).unwrap_or((value, ""));
                if key.eq_ignore_ascii_case("ControlPath") {
                    self.option('S', value.trim())?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The machine of `USER@HOST` or `ssh://USER@HOST:PORT`.
fn host(word: &str) -> String {
    let word = match word.strip_prefix("ssh://") {
        Some(rest) => rest.split(['/', ':']).next().unwrap_or(rest),
        None => word,
    };
    word.rsplit('@').next().unwrap_or(word).to_owned()
}

/// `umc cluster ssh -- ARGUMENTS`. Does not return when it runs a command: the exit status is that.
///
/// # Errors
/// The command line cannot be understood.
pub fn run(name: Option<&str>, arguments: &[OsString]) -> Result<()> {
    let words: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let status = Line::of(&words).and_then(|line| ssh(name, line, arguments));
    let status = status.unwrap_or_else(|error| {
        eprintln!("umc ssh: {error:#}");
        FAILED
    });
    std::process::exit(status);
}

fn ssh(name: Option<&str>, line: Line, arguments: &[OsString]) -> Result<i32> {
    if line.version {
        eprintln!("umc ssh {}: commands on nodes of a cluster", env!("CARGO_PKG_VERSION"));
        return Ok(0);
    }
    let socket = line.socket.as_deref();
    if let Some(order) = &line.order {
        let order = Order::of(order)?;
        let socket = socket.context("-O wants the path of a control socket: -S PATH")?;
        let master = master::ask(socket, order)?;
        eprintln!("{}", order.done(&master));
        return Ok(0);
    }
    if line.in_background && std::env::var_os(IN_BACKGROUND).is_none() {
        return to_background(name, &line, arguments);
    }
    let given = line.host.as_deref().context("Which host? ssh [OPTION]... HOST [COMMAND]...")?;
    // As ssh does: where a master listens it is its host, whatever is written here.
    let of_master = match (socket, line.is_master) {
        (Some(socket), false) => master::ask(socket, Order::Check).ok(),
        _ => None,
    };
    let host = of_master.as_ref().map_or(given, |master| &master.node);
    let live = Live::meant(name)?;
    let node = find(&live, host)?;
    if line.is_master && line.is_idle {
        let socket = socket.context("-M wants the path of a control socket: -S PATH")?;
        let life = live.record.keeper;
        let keeper = Process::checked(life.pid, || life.is_alive());
        let keeper = keeper.context("Cannot watch the keeper of the cluster")?;
        let keeper = keeper.context("The cluster ends just now")?;
        return master::serve(socket, live.name(node), &keeper).map(|()| 0);
    }
    if line.is_idle {
        bail!("-N without -M does nothing here: umc's ssh forwards nothing");
    }
    if live.node(node).is_none() {
        let node = live.name(node);
        bail!("connect to host {node}: it does not run. Start it: umc cluster start {node}");
    }
    session(&live, node, &line)
}

/// The node that a host means: by its name, with or without a domain, or its address.
fn find(live: &Live, host: &str) -> Result<usize> {
    let first = host.split('.').next().unwrap_or(host);
    let mut nodes = 0..live.plan.nodes.len();
    let found = nodes.find(|node| {
        let name = live.name(*node);
        name == host || name == first || conf::address(*node) == host
    });
    match found {
        Some(node) => Ok(node),
        None => live.plan.place(host),
    }
}

fn shell() -> PathBuf {
    let of_user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let shell = of_user.map(|user| user.shell).filter(|shell| shell.is_file());
    // Users who may not log in may have a cluster.
    let shell = shell.filter(|shell| !shell.ends_with("nologin") && !shell.ends_with("false"));
    shell.unwrap_or_else(|| {
        ["/bin/bash", "/bin/sh"]
            .map(Path::new)
            .into_iter()
            .find(|s| s.exists())
            .unwrap_or(Path::new("/bin/sh"))
            .into()
    })
}

fn session(live: &Live, node: usize, line: &Line) -> Result<i32> {
    let command = match (line.is_subsystem, line.command.as_slice()) {
        (false, []) => None,
        (false, words) => Some(words.join(" ")),
        (true, [name]) if name == "sftp" => {
            let server = SFTP_SERVERS.iter().find(|server| Path::new(server).exists());
            let server =
                server.context("sftp wants its server: apt-get install openssh-sftp-server")?;
            Some((*server).to_owned())
        }
        (true, other) => bail!("ssh: there is no subsystem {} here", other.join(" ")),
    };
    let mut login = live.way(node)?.login(&shell(), command.as_deref())?;
    if line.no_input {
        login.stdin(Stdio::null());
    }
    let signals = match command {
        Some(_) => vec![Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT],
        // At a terminal they are the shell's.
        None => Vec::new(),
    };
    wait(login, &signals)
}

/// Runs a program to its end, and passes signals on to all of its session.
fn wait(mut program: Command, signals: &[Signal]) -> Result<i32> {
    let mut mask = SigSet::empty();
    signals.iter().chain([&Signal::SIGCHLD]).for_each(|signal| mask.add(*signal));
    mask.thread_block().context("Cannot block signals")?;
    let waiting = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("Cannot wait for signals")?;
    let mut child = program.spawn().context("Cannot run a shell on the node")?;
    loop {
        if let Some(status) = child.try_wait().context("Cannot wait for the command")? {
            return Ok(status.code().unwrap_or_else(|| {
                eprintln!("umc ssh: ended by signal {}", status.signal().unwrap_or_default());
                FAILED
            }));
        }
        let mut fds = [PollFd::new(waiting.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::NONE);
        while let Ok(Some(info)) = waiting.read_signal() {
            let signal = Signal::try_from(info.ssi_signo as i32).ok();
            if let Some(signal) = signal.filter(|signal| *signal != Signal::SIGCHLD) {
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), signal);
            }
        }
    }
}

/// What -f asks for: goes on in a process of its own, a master as soon as it listens.
fn to_background(name: Option<&str>, line: &Line, arguments: &[OsString]) -> Result<i32> {
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let mut again = Command::new("setsid");
    again.arg(me).arg("cluster");
    if let Some(name) = name {
        again.args(["--name", name]);
    }
    again.args(["ssh", "--"]).args(arguments).env(IN_BACKGROUND, "1").stdin(Stdio::null());
    let is_master = line.is_master && line.is_idle;
    if is_master {
        again.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child = again.spawn().context("Cannot go to the background: setsid of util-linux")?;
    if let (true, Some(socket)) = (is_master, &line.socket)
        && !master::await_it(socket, || matches!(child.try_wait(), Ok(None)))
    {
        // It is not to begin later, when nobody knows of it.
        let _ = child.kill();
        let _ = child.wait();
        bail!("the master did not begin to listen on {}. Without -f it says why", socket.display());
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Line> {
        Line::of(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn command_lines_are_read_as_ssh_reads_them() {
        let master = line("-S /tmp/s -l root -N -M n1").unwrap();
        assert!(master.is_master && master.is_idle && master.host.as_deref() == Some("n1"));
        assert_eq!(master.socket.as_deref(), Some(Path::new("/tmp/s")));
        assert_eq!(line("-S /tmp/s -O check _").unwrap().order.as_deref(), Some("check"));
        let run = line("-oBatchMode=yes -p22 root@n2 -T ls -l / | wc").unwrap();
        assert_eq!(
            (run.host.as_deref(), run.command.join(" ")),
            (Some("n2"), "ls -l / | wc".into())
        );
        let scp = line("-x -oControlPath=/c -l root -- n1 scp -t /x").unwrap();
        assert_eq!((scp.host.as_deref(), scp.command.len()), (Some("n1"), 3));
        assert_eq!(scp.socket.as_deref(), Some(Path::new("/c")));
        assert_eq!(line("ssh://root@n3:22/ true").unwrap().host.as_deref(), Some("n3"));
        assert!(line("-L 1:2:3 n1").unwrap_err().to_string().contains("forwards nothing"));
        assert!(line("-S").is_err() && line("-Z n1").is_err());
    }
}
