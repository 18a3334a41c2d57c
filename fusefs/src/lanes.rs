// SPDX-License-Identifier: GPL-2.0-only
//! Threads for requests that may block when no loop thread may.
//!
//! A driver may block in an open or a submit: DRBD does while its I/O is suspended. The kernel's requests are read by a
//! few loop threads, so all but one of those may be inside a driver at a time ([`crate::loops`]); what comes then goes to
//! a lane: a FIFO with one thread, one lane for the I/O and one for the opens of each device. A lane's thread ends when it
//! had nothing to do for a while.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use umc::Devt;
use umc::Kernel;
use umc::kprintln;
use umc::kthread::{self, Thread};
use umc::printk::Level;
use umc::wait::WaitQueue;

/// How long a thread waits for more.
const IDLE_NS: u64 = 3_000_000_000;

/// Which lane.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Key {
    /// Reads and writes of a device.
    Io(Devt),
    /// Opens and releases of a device.
    Open(Devt),
    /// Opens of a device that wait for releases.
    Busy(Devt),
    /// A file of proc, sysfs or debugfs, by its inode number.
    File(u64),
    /// Changes of the names in a directory.
    Names(u64),
}

/// Something to do.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    is_served: bool,
    is_closing: bool,
    /// The thread that serves or served it.
    thread: Option<Thread>,
}

struct Lane {
    line: Mutex<Line>,
    more: WaitQueue,
}

/// The lanes of one mount.
pub(crate) struct Lanes {
    kernel: &'static Kernel,
    lanes: Mutex<HashMap<Key, Arc<Lane>>>,
}

impl Lanes {
    pub(crate) fn new(kernel: &'static Kernel) -> Lanes {
        Lanes { kernel, lanes: Mutex::default() }
    }

    /// Appends a job. Returns soon.
    pub(crate) fn push(&self, key: Key, job: Job) {
        let lane = {
            let mut lanes = self.lanes.lock();
            let new = || Arc::new(Lane { line: Mutex::default(), more: WaitQueue::new() });
            lanes.entry(key).or_insert_with(new).clone()
        };
        let former = {
            let mut line = lane.line.lock();
            line.jobs.push_back(job);
            if line.is_served {
                drop(line);
                lane.more.wake_up_all();
                return;
            }
            line.is_served = true;
            line.thread.take()
        };
        if let Some(thread) = former {
            // It has left its loop already.
            thread.join();
        }
        self.serve(key, &lane);
    }

    fn serve(&self, key: Key, lane: &Arc<Lane>) {
        let served = lane.clone();
        let name = match key {
            Key::Io(devt) => format!("fuse/{devt}"),
            Key::Open(devt) => format!("fuse-o/{devt}"),
            Key::Busy(devt) => format!("fuse-b/{devt}"),
            Key::File(_) => "fuse-f".to_owned(),
            Key::Names(_) => "fuse-n".to_owned(),
        };
        match kthread::spawn(self.kernel, &name, Box::new(move || served.run())) {
            Ok(thread) => lane.line.lock().thread = Some(thread),
            Err(error) => {
                // Late is better than never: the jobs run here, on the loop thread.
                kprintln!(self.kernel => Level::Warning, "umc: no thread for {name}: {error}");
                lane.drain();
                lane.line.lock().is_served = false;
            }
        }
    }

    /// Runs what is left and ends all threads. Nobody pushes any more. May block as long as a driver does.
    pub(crate) fn close(&self) {
        let lanes: Vec<Arc<Lane>> = std::mem::take(&mut *self.lanes.lock()).into_values().collect();
        for lane in &lanes {
            lane.line.lock().is_closing = true;
            lane.more.wake_up_all();
        }
        for lane in lanes {
            let thread = lane.line.lock().thread.take();
            if let Some(thread) = thread {
                thread.join();
            }
        }
    }
}

impl Lane {
    fn drain(&self) {
        loop {
            let Some(job) = self.line.lock().jobs.pop_front() else { return };
            job();
        }
    }

    fn run(&self) {
        loop {
            self.drain();
            let is_more = || {
                let line = self.line.lock();
                !line.jobs.is_empty() || line.is_closing
            };
            self.more.wait_event_timeout(IDLE_NS, is_more);
            let mut line = self.line.lock();
            if line.jobs.is_empty() {
                line.is_served = false;
                return;
            }
        }
    }
}
