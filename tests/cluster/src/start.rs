// SPDX-License-Identifier: GPL-2.0-only
//! Programs that tests start.
//!
//! Tests run side by side in one process. A program is, between fork and exec, a copy of that process with every file
//! that any test has open; who closes such a file meanwhile has closed it for himself only, and a mount is busy, or a
//! device held open, for no reason that the test knows. Therefore one program is started at a time, and it has let go
//! of all that before [`Start::start`] returns: what a test has closed is closed when its next program starts.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// Descriptors below it are looked at one by one.
const FEW: libc::c_int = 1024;

/// The only way in which a test starts a program.
pub trait Start {
    /// As `Command::spawn`.
    fn start(&mut self) -> io::Result<Child>;
    /// As `Command::output`.
    fn run(&mut self) -> io::Result<Output>;
    /// As `Command::status`.
    fn run_shown(&mut self) -> io::Result<ExitStatus>;
}

impl Start for Command {
    fn start(&mut self) -> io::Result<Child> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        // SAFETY: the function makes system calls and nothing else.
        unsafe { self.pre_exec(let_go) };
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        // With something to do before the exec, this returns after it.
        self.spawn()
    }

    fn run(&mut self) -> io::Result<Output> {
        self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.start()?.wait_with_output()
    }

    fn run_shown(&mut self) -> io::Result<ExitStatus> {
        self.start()?.wait()
    }
}

/// Lets go of what was inherited, in the new process: descriptors, and signals that are ignored.
///
/// Files are closed here, because the exec would do it too late: it is behind it that the starter goes on. Pipes and
/// sockets of packets stay for the exec, because one of them tells the starter of it, or why there was none.
fn let_go() -> io::Result<()> {
    for fd in 3..FEW {
        // Answered from the descriptor alone. The file's status would be asked of a node, which may have stopped.
        // SAFETY: descriptors of this process, which runs nothing else.
        let is_pipe = unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) } >= 0;
        if !is_pipe && !is_of_packets(fd) {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
    // SAFETY: as above.
    unsafe { libc::close_range(FEW as libc::c_uint, libc::c_uint::MAX, 0) };
    // A shell without job control starts what runs in its background with these ignored, and nohup(1) one of them.
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        // SAFETY: the default action is no handler of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

/// Whether the descriptor is a socket that keeps packets apart.
fn is_of_packets(fd: libc::c_int) -> bool {
    let (mut kind, mut len): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    let value = (&raw mut kind).cast();
    // SAFETY: the value has room for the answer.
    let ret = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_TYPE, value, &raw mut len) };
    ret == 0 && kind == libc::SOCK_SEQPACKET
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_program_that_is_missing_is_named_so() {
        let error = Command::new("no-such-program").run().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_started_in_the_background_can_be_interrupted() {
        let mut command = Command::new("sh");
        command.args(["-c", "kill -INT $$"]);
        let ignore = || {
            // SAFETY: no handler is set.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
            Ok(())
        };
        // SAFETY: one system call, as a shell makes it before it starts something in its background.
        unsafe { command.pre_exec(ignore) };
        assert_eq!(command.run_shown().unwrap().signal(), Some(libc::SIGINT));
    }
}
