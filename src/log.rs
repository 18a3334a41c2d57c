// SPDX-License-Identifier: GPL-2.0-only
//! Where a node's log goes: standard error, or a file whose size is bounded.
//!
//! A node outlives its log. What cannot be written is counted; the kernel log, and so `umc dmesg`, says when that
//! begins and how much is missing when it ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
use nix::unistd::{dup2_stderr, dup2_stdout, write};
use umc::Kernel;
use umc::printk::Level;

/// A log file that is longer goes on anew; the old one stays beside it.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The log, shared by the kernel's console and by what `umcd` itself has to say. Writes never fail.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    kernel: OnceLock<&'static Kernel>,
    state: parking_lot::Mutex<State>,
}

struct State {
    output: Output,
    /// Lines that could not be written since the last one that could.
    missing: u64,
    /// The last line was written in part.
    is_torn: bool,
    /// Standard error as it was when the process started, until the node is up; if the log is elsewhere.
    starter: Option<OwnedFd>,
}

/// What a line is written to.
enum Output {
    Stderr,
    File {
        path: PathBuf,
        bytes_max: u64,
        /// At this size it goes on anew.
        rotate_at: u64,
    },
    #[cfg(test)]
    Fd(OwnedFd),
}

impl Log {
    /// On standard error.
    pub fn new() -> Log {
        Log::with_output(Output::Stderr)
    }

    fn with_output(output: Output) -> Log {
        Log(Arc::new(Shared {
            kernel: OnceLock::new(),
            state: parking_lot::Mutex::new(State {
                output,
                missing: 0,
                is_torn: false,
                starter: None,
            }),
        }))
    }

    /// Goes on in a file, in which whatever else writes to the standard outputs ends as well. A file of a life before
    /// becomes `FILE.1`.
    pub fn move_to(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.state.lock();
        let starter = io::stderr().as_fd().try_clone_to_owned()?;
        begin_file(path)?;
        let (path, bytes_max) = (path.to_owned(), FILE_BYTES_MAX);
        state.output = Output::File { path, bytes_max, rotate_at: bytes_max };
        state.starter = Some(starter);
        Ok(())
    }

    /// Has the kernel log say what is missing in this one.
    pub fn attach(&self, kernel: &'static Kernel) {
        let _ = self.0.kernel.set(kernel);
    }

    /// The node is up: who started it is told no more.
    pub fn is_up(&self) {
        self.0.state.lock().starter = None;
    }

    /// Writes the last line of a node that cannot start or end, which whoever waits for its start is told as well.
    pub fn fail(&self, line: &str) {
        self.line(line);
        if let Some(starter) = self.0.state.lock().starter.take() {
            // There is nobody else to be told that this fails.
            let _ = writeln!(File::from(starter), "{line}");
        }
    }

    /// Writes one line, or several.
    pub fn line(&self, text: &str) {
        let news = self.0.state.lock().write(text);
        // Not locked: the console is this log.
        if let (Some(news), Some(kernel)) = (news, self.0.kernel.get()) {
            umc::kprintln!(kernel => Level::Err, "{news}");
        }
    }
}

impl State {
    /// What the kernel log is to say about it.
    fn write(&mut self, text: &str) -> Option<String> {
        self.output.rotate();
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        let torn = if self.is_torn { "\n" } else { "" };
        let line = format!("{torn}{text}{newline}");
        match self.output.write_all(line.as_bytes()) {
            Ok(()) => {
                self.is_torn = false;
                let missing = std::mem::take(&mut self.missing);
                (missing > 0).then(|| {
                    format!("umcd: the log is written again; {missing} lines before this one are missing in it")
                })
            }
            Err((written, error)) => {
                self.is_torn |= written > 0;
                self.missing += 1;
                (self.missing == 1).then(|| format!("umcd: the log cannot be written: {error}"))
            }
        }
    }
}

impl Output {
    /// An error says how much was written before.
    fn write_all(&self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        match self {
            Output::Stderr | Output::File { .. } => write_all(io::stderr(), bytes),
            #[cfg(test)]
            Output::Fd(fd) => write_all(fd, bytes),
        }
    }

    /// Begins a new file when this one is long. One that cannot be begun is tried again later.
    fn rotate(&mut self) {
        let Output::File { path, bytes_max, rotate_at } = self else { return };
        let Ok(status) = nix::sys::stat::fstat(io::stderr()) else { return };
        let size = status.st_size.unsigned_abs();
        if size >= *rotate_at {
            *rotate_at = match begin_file(path) {
                Ok(()) => *bytes_max,
                Err(_) => size + *bytes_max,
            };
        }
    }
}

/// Makes an empty file the standard outputs, and moves the one of that name aside.
fn begin_file(path: &Path) -> io::Result<()> {
    let aside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let fresh = aside(".new");
    // Helpers write to it too: each line goes to its end.
    let file = File::options().create(true).append(true).open(&fresh)?;
    match fs::rename(path, aside(".1")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(&fresh, path)?;
    dup2_stdout(&file)?;
    dup2_stderr(&file)?;
    Ok(())
}

/// As [`Output::write_all`].
fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let len = bytes.len();
    while !bytes.is_empty() {
        match write(&fd, bytes) {
            Ok(0) => return Err((len - bytes.len(), io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err((len - bytes.len(), error.into())),
        }
    }
    Ok(())
}

/// For `tracing`, which writes an event at once.
impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.line(&String::from_utf8_lossy(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::fcntl::OFlag;

    use super::*;

    #[test]
    fn what_is_missing_is_counted_and_said() {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let log = Log::with_output(Output::Fd(writer));
        let kernel = Kernel::boot(umc::Config::default());
        log.attach(kernel);
        kernel.set_console(Box::new({
            let log = log.clone();
            move |record| log.line(&record.text)
        }));
        let long = "x".repeat(1 << 20);
        log.line(&long);
        log.line("lost");
        let said = |wanted: &str| {
            kernel.log_records(0).iter().filter(|record| record.text.contains(wanted)).count()
        };
        assert_eq!(said("the log cannot be written: Resource temporarily unavailable"), 1);

        let mut reader = File::from(reader);
        let mut buf = vec![0; 1 << 20];
        while reader.read(&mut buf).is_ok_and(|len| len > 0) {}
        log.line("found");
        // The long line, "lost", and what the kernel log said of it.
        assert_eq!(said("written again; 3 lines before this one are missing"), 1);
        let len = reader.read(&mut buf).unwrap();
        let text = String::from_utf8_lossy(&buf[..len]);
        // Not at the end of the line that was written in part.
        assert!(text.starts_with("\nfound\numcd: the log is written again; 3 lines"), "{text:?}");
    }
}
