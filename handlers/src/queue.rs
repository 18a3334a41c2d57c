// SPDX-License-Identifier: GPL-2.0-only
//! The worker threads of a disk whose handler blocks.
//!
//! Guarantees kept: a handler with `nr_threads == n` never has more than `n` calls running for one device; commands
//! start in the order they came. Waiting is [`mte::Ops::park`].

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use mte::Ops;
use parking_lot::Mutex;

/// The most threads a handler is given, whatever it asks for.
const THREADS_MAX: usize = 64;

/// Waits for the end of a started thread.
pub(crate) type Join = Box<dyn FnOnce() + Send>;
/// Starts a thread with a task of the disk's node.
pub(crate) type Spawn<'a> = &'a dyn Fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<Join>;

/// What waits for a thread and then runs on it.
pub(crate) trait Run: Send {
    /// Runs it to where it goes on by itself. May sleep.
    fn run(self: Box<Self>);
}

/// Commands that wait, and the threads that run them.
pub(crate) struct Queue {
    shared: Arc<Shared>,
    threads: Mutex<Vec<Join>>,
}

struct Shared {
    ops: &'static Ops,
    waiting: Mutex<VecDeque<Box<dyn Run>>>,
    /// Changes with every push, so that a worker about to park sees it.
    pushes: AtomicU32,
    idle: AtomicU32,
    stop: AtomicBool,
}

impl Queue {
    pub(crate) fn start(
        ops: &'static Ops,
        name: &str,
        threads: usize,
        spawn: Spawn<'_>,
    ) -> io::Result<Queue> {
        let shared = Arc::new(Shared {
            ops,
            waiting: Mutex::default(),
            pushes: AtomicU32::new(0),
            idle: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let queue = Queue { shared, threads: Mutex::default() };
        for number in 0..threads.clamp(1, THREADS_MAX) {
            let shared = Arc::clone(&queue.shared);
            let main = Box::new(move || shared.work());
            match spawn(&format!("{name}/{number}"), main) {
                Ok(join) => queue.threads.lock().push(join),
                Err(error) => {
                    queue.stop();
                    return Err(error);
                }
            }
        }
        Ok(queue)
    }

    /// Any context.
    pub(crate) fn push(&self, command: Box<dyn Run>) {
        let shared = &self.shared;
        shared.waiting.lock().push_back(command);
        shared.pushes.fetch_add(1, SeqCst);
        // Either this load sees the worker that is about to park, or that worker sees the command.
        if shared.idle.load(SeqCst) > 0 {
            shared.ops.unpark(&raw const shared.pushes, 1);
        }
    }

    /// Waits for the threads to end. Nothing may be waiting. May sleep.
    pub(crate) fn stop(&self) {
        let shared = &self.shared;
        shared.stop.store(true, SeqCst);
        shared.pushes.fetch_add(1, SeqCst);
        shared.ops.unpark(&raw const shared.pushes, u32::MAX);
        let threads = std::mem::take(&mut *self.threads.lock());
        for join in threads {
            join();
        }
        assert!(shared.waiting.lock().is_empty(), "a disk was closed while commands waited");
    }
}

impl Shared {
    fn work(&self) {
        while let Some(command) = self.next() {
            command.run();
        }
    }

    fn next(&self) -> Option<Box<dyn Run>> {
        loop {
            let pushes = self.pushes.load(SeqCst);
            if let Some(command) = self.waiting.lock().pop_front() {
                return Some(command);
            }
            if self.stop.load(SeqCst) {
                return None;
            }
            self.idle.fetch_add(1, SeqCst);
            self.ops.park(&self.pushes, pushes, mte::NEVER);
            self.idle.fetch_sub(1, SeqCst);
        }
    }
}
