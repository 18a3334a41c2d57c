// SPDX-License-Identifier: GPL-2.0-only
//! A program whose lines a test waits for.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{PATIENCE, Start};

/// A running program, and its output by lines. Killed when it is dropped, with what it started.
pub struct Watch {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    has_ended: bool,
}

impl Watch {
    pub fn start(mut command: Command) -> Watch {
        command.stdout(Stdio::piped()).process_group(0);
        let mut child = command.start().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (to, lines) = channel();
        std::thread::spawn(move || {
            let _ = stdout.lines().map_while(Result::ok).try_for_each(|line| to.send(line));
        });
        Watch { child, lines, seen: Vec::new(), has_ended: false }
    }

    /// Waits for a line that holds the text: the line.
    #[track_caller]
    pub fn until(&mut self, wanted: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(wanted) {
                        return line;
                    }
                }
                Err(error) => {
                    panic!("no line \"{wanted}\" ({error}) after:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// Waits until the program ends by itself: its status, and every line it wrote.
    #[track_caller]
    pub fn ends(&mut self) -> (ExitStatus, Vec<String>) {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("no end ({error}) after:\n{}", self.seen.join("\n")),
            }
        }
        let status = self.child.wait().expect("it ended");
        self.has_ended = true;
        (status, self.seen.clone())
    }

    /// Every line so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        // The group bears the child's number until the child is waited for, so it is nobody else's.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
