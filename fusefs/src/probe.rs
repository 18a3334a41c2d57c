// SPDX-License-Identifier: GPL-2.0-only
//! Requests of our own to our own tree.
//!
//! Such a request can be sent to its server, this process, when the process is killed. The host then waits for the answer
//! of a request that was already read, and lets go of no descriptor of the thread that waits: if the connection were among
//! them, it would never end, nor would the process (`request_wait_answer` in `fs/fuse/dev.c`). So the thread that asks
//! has a table of descriptors of its own, with nothing in it. It also tells the host's loop devices of a new size of what
//! they stand on, for which they ask the tree.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use fuser::FileHandle;
use nix::sched::{CloneFlags, unshare};
use parking_lot::Mutex;
use umc::Kernel;
use umc::kprintln;
use umc::kthread::{self, Thread};
use umc::printk::Level;
use umc::wait::WaitQueue;

use crate::users;

/// `LOOP_SET_CAPACITY` of `linux/loop.h`: look at the size again.
const LOOP_SET_CAPACITY: libc::Ioctl = 0x4c07;

/// What tells the handles of this thread from others, which are counted from one.
const MARK: u64 = 1 << 63;

/// How long a release is waited for while one that was given up has still not come.
const AGAIN_NS: u64 = 20_000_000;
/// When a request is sent again that the host could not send.
const RETRY_NS: u64 = 1_000_000;

#[derive(Default)]
struct State {
    /// How many round trips were asked for; one that begins now serves them all.
    asked: AtomicU64,
    done: AtomicU64,
    /// The last one was answered.
    is_alive: AtomicBool,
    is_closing: AtomicBool,
    /// The thread that asks, as the host numbers it.
    thread: AtomicU32,
    /// Which of those asked for is being sent.
    sent: AtomicU64,
    /// The last one whose release came.
    returned: AtomicU64,
    /// The last one whose release nobody waits for any more.
    given_up: AtomicU64,
    /// Devices that have another size.
    resized: Mutex<Vec<String>>,
    wake: WaitQueue,
}

/// What became of a request.
#[derive(PartialEq, Eq)]
pub(crate) enum Answer {
    Came,
    /// Not in time.
    Late,
    /// Nobody answers any more.
    Dead,
}

/// The thread that asks.
pub(crate) struct Probe {
    state: Arc<State>,
    thread: Mutex<Option<Thread>>,
}

impl Probe {
    /// # Errors
    /// Those of the host when it has no thread to give.
    pub(crate) fn start(kernel: &'static Kernel, root: PathBuf) -> umc::Result<Probe> {
        let state = Arc::new(State::default());
        let main = {
            let state = state.clone();
            Box::new(move || serve(kernel, &state, &root))
        };
        let thread = kthread::spawn(kernel, "fuse_probe", main)?;
        Ok(Probe { state, thread: Mutex::new(Some(thread)) })
    }

    /// Sends a request that stands in the queue behind all that programs wait for, and waits for its answer. May sleep.
    pub(crate) fn round_trip(&self, timeout_ns: u64) -> Answer {
        let mine = self.ask();
        let is_done = || self.state.done.load(Ordering::SeqCst) >= mine;
        self.wait(timeout_ns, is_done)
    }

    /// As `round_trip`, but behind all releases: those stand in a queue with what nobody waits for, of which the host
    /// sends a number at a time. Only another release stands behind them. May sleep.
    pub(crate) fn behind_releases(&self, timeout_ns: u64) -> Answer {
        let state = &self.state;
        let is_stuck =
            state.returned.load(Ordering::SeqCst) < state.given_up.load(Ordering::SeqCst);
        let timeout_ns = if is_stuck { timeout_ns.min(AGAIN_NS) } else { timeout_ns };
        let mine = self.ask();
        let is_done = || {
            let is_dead =
                state.done.load(Ordering::SeqCst) >= mine && !state.is_alive.load(Ordering::SeqCst);
            is_dead || state.returned.load(Ordering::SeqCst) >= mine
        };
        let answer = self.wait(timeout_ns, is_done);
        if answer == Answer::Late {
            state.given_up.fetch_max(mine, Ordering::SeqCst);
        }
        answer
    }

    fn ask(&self) -> u64 {
        let mine = self.state.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.state.wake.wake_up_all();
        mine
    }

    fn wait(&self, timeout_ns: u64, is_done: impl FnMut() -> bool) -> Answer {
        match self.state.wake.wait_event_timeout(timeout_ns, is_done) {
            true if self.state.is_alive.load(Ordering::SeqCst) => Answer::Came,
            true => Answer::Dead,
            false => Answer::Late,
        }
    }

    /// The handle for a directory that thread `tid` opens, if that is this one. Does not sleep.
    pub(crate) fn handle_for(&self, tid: u32) -> Option<FileHandle> {
        let is_mine = self.state.thread.load(Ordering::SeqCst) == tid;
        is_mine.then(|| FileHandle(MARK | self.state.sent.load(Ordering::SeqCst)))
    }

    /// A directory was released, perhaps this thread's. Does not sleep.
    pub(crate) fn released(&self, handle: FileHandle) {
        if handle.0 & MARK != 0 {
            self.state.returned.fetch_max(handle.0 & !MARK, Ordering::SeqCst);
            self.state.wake.wake_up_all();
        }
    }

    /// The device `name` has another size. Does not sleep.
    pub(crate) fn resized(&self, name: &str) {
        self.state.resized.lock().push(name.to_owned());
        self.state.wake.wake_up_all();
    }

    /// Ends the thread, after the end of the connection. Who asks from now on finds nobody.
    pub(crate) fn end(&self) {
        let Some(thread) = self.thread.lock().take() else { return };
        self.state.is_closing.store(true, Ordering::SeqCst);
        self.state.wake.wake_up_all();
        thread.join();
    }
}

fn serve(kernel: &'static Kernel, state: &State, root: &Path) {
    own_descriptors();
    state.thread.store(nix::unistd::gettid().as_raw() as u32, Ordering::SeqCst);
    loop {
        let done = state.done.load(Ordering::SeqCst);
        let is_closing = || state.is_closing.load(Ordering::SeqCst);
        state.wake.wait_event_idle(|| {
            state.asked.load(Ordering::SeqCst) != done
                || is_closing()
                || !state.resized.lock().is_empty()
        });
        if is_closing() {
            state.is_alive.store(false, Ordering::SeqCst);
            state.done.store(u64::MAX, Ordering::SeqCst);
            state.wake.wake_up_all();
            return;
        }
        for name in std::mem::take(&mut *state.resized.lock()) {
            tell_loops(kernel, root, &name);
        }
        let asked = state.asked.load(Ordering::SeqCst);
        if asked == done {
            continue;
        }
        // An open, because that is a call which valgrind lets other threads go on in: one of them has to answer.
        state.sent.store(asked, Ordering::SeqCst);
        let is_alive = match File::open(root) {
            Ok(_) => true,
            Err(error) if is_of_the_dead(&error) => false,
            // It says nothing of the connection. Who waits does so within a limit.
            Err(_) => {
                state.wake.wait_event_timeout(RETRY_NS, is_closing);
                continue;
            }
        };
        state.is_alive.store(is_alive, Ordering::SeqCst);
        state.done.store(asked, Ordering::SeqCst);
        state.wake.wake_up_all();
    }
}

/// Whether an open of the root says that nobody serves it any more, rather than that the host could not ask just now: for
/// want of memory, or of files, of which the whole host has so many. A connection that was aborted says the first three,
/// a tree that was taken away the others.
fn is_of_the_dead(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOTCONN
                | libc::ECONNABORTED
                | libc::ECONNREFUSED
                | libc::ENODEV
                | libc::ENOENT
                | libc::ENOTDIR
        )
    )
}

/// Has the loop devices that stand on a device look at its size.
fn tell_loops(kernel: &'static Kernel, root: &Path, name: &str) {
    let file = root.join("dev").join(name);
    for device in users::loops_on(&file) {
        // Older kernels go by the size that the host has seen last.
        let told = fs::metadata(&file)
            .and_then(|_| File::open(Path::new("/dev").join(&device.name)))
            .and_then(|opened| set_capacity(&opened));
        if let Err(error) = told {
            let device = device.name;
            kprintln!(kernel => Level::Warning,
                "umc: {device} of the host does not follow the size of {name}: {error}"
            );
        }
    }
}

fn set_capacity(device: &File) -> io::Result<()> {
    // SAFETY: the request takes no argument.
    match unsafe { libc::ioctl(device.as_raw_fd(), LOOP_SET_CAPACITY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the calling thread a table of descriptors of its own and closes all but the standard ones. Where the host does
/// not allow it, a kill in the middle of a request leaves a process that only `umount -f` ends.
fn own_descriptors() {
    if unshare(CloneFlags::CLONE_FILES).is_err() {
        return;
    }
    let Ok(open) = fs::read_dir("/proc/thread-self/fd") else { return };
    let numbers =
        open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    // Collected first: the directory that is read is among them.
    for fd in numbers.filter(|fd| *fd > 2).collect::<Vec<_>>() {
        // No value of this thread owns a descriptor, and other threads have theirs in another table.
        let _ = nix::unistd::close(fd);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const LONG_NS: u64 = 20_000_000_000;

    /// A link to itself stands for a host that cannot open just now: any other error would do.
    #[test]
    fn only_a_dead_connection_is_dead() {
        let kernel = Kernel::boot(umc::Config::default());
        umc::sched::attach(kernel, "test");
        let dir = tempfile::tempdir().unwrap();
        let (root, aside) = (dir.path().join("root"), dir.path().join("aside"));
        symlink(&root, &root).unwrap();
        let probe = Probe::start(kernel, root.clone()).unwrap();
        assert!(probe.round_trip(10_000_000) == Answer::Late);
        assert!(probe.behind_releases(10_000_000) == Answer::Late);
        symlink(dir.path(), &aside).unwrap();
        fs::rename(&aside, &root).unwrap();
        assert!(probe.round_trip(LONG_NS) == Answer::Came, "asked again, and nobody else has to");
        fs::remove_file(&root).unwrap();
        assert!(probe.round_trip(LONG_NS) == Answer::Dead);
        assert!(probe.behind_releases(LONG_NS) == Answer::Dead);
        probe.end();
        assert!(probe.round_trip(LONG_NS) == Answer::Dead);
    }
}
