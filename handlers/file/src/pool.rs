// SPDX-License-Identifier: GPL-2.0-only
//! The engine of last resort: a few threads that make blocking system calls.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::job::{Call, Job};

/// Threads of one disk: as many calls can be in the kernel at a time.
const THREADS: usize = 8;

/// Jobs and the threads that work on them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<Job>>,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked ended the process, or left the list whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                run(*job);
                state = self.lock();
            } else if state.stop {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Pool {
    pub(crate) fn start() -> io::Result<Pool> {
        let mut pool = Pool { shared: Arc::default(), threads: Vec::new() };
        for number in 0..THREADS {
            let shared = Arc::clone(&pool.shared);
            let builder = std::thread::Builder::new().name(format!("file/{number}"));
            pool.threads.push(builder.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    pub(crate) fn submit(&self, job: Box<Job>) {
        self.shared.lock().waiting.push_back(job);
        self.shared.changed.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Makes the calls of a job on this thread, and completes it.
fn run(mut job: Job) {
    let status = loop {
        match job.next() {
            Ok(call) => {
                if let Some(status) = job.returned(make(call)) {
                    break status;
                }
            }
            Err(status) => break status,
        }
    };
    job.complete(status);
}

/// Makes a call: its result, or a negative errno.
#[allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one contract: the job keeps what its call uses"
)]
fn make(call: Call) -> i64 {
    // SAFETY: the job keeps descriptor and memory until the call has returned.
    let ret = unsafe {
        match call {
            Call::Read { fd, iov, count, offset } => {
                libc::preadv(fd, iov, count as i32, offset as i64) as i64
            }
            Call::Write { fd, iov, count, offset } => {
                libc::pwritev(fd, iov, count as i32, offset as i64) as i64
            }
            Call::Datasync { fd } => libc::fdatasync(fd).into(),
            Call::Fallocate { fd, mode, offset, len } => {
                libc::fallocate(fd, mode, offset as i64, len as i64).into()
            }
        }
    };
    if ret < 0 {
        -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    } else {
        ret
    }
}
