// SPDX-License-Identifier: GPL-2.0-only
//! The engine of choice: io_uring, owned by one thread per disk.
//!
//! Every request is started by the ring's own thread. A thread that submits by itself would be interrupted to run the
//! completion, and its end would cancel what it had started; both would happen to threads of the driver above.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use io_uring::{IoUring, Probe, opcode, squeue, types};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::job::{Call, Job};

/// Requests of one disk that the kernel is given before the ring is emptied once.
const ENTRIES: u32 = 256;

/// `user_data` of the read that wakes the thread; jobs are never at address 0.
const WAKE: u64 = 0;

/// The submitting side.
pub(crate) struct Ring {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    waiting: Mutex<VecDeque<Box<Job>>>,
    /// The thread is about to wait in the kernel, so a newcomer must wake it.
    sleeps: AtomicBool,
    stop: AtomicBool,
    wake: EventFd,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Box<Job>>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if self.sleeps.swap(false, SeqCst) {
            // Fails only when 2^64 - 2 wake-ups are pending: then it is awake.
            let _ = self.wake.write(1);
        }
    }
}

impl Ring {
    /// # Errors
    /// Where the kernel has no io_uring, or forbids it.
    pub(crate) fn start() -> io::Result<Ring> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            sleeps: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?,
        });
        // The ring must be made by the thread that uses it.
        let (ready, result) = mpsc::channel();
        let of_thread = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("file/ring".to_owned());
        let thread = builder.spawn(move || match Owner::new(of_thread) {
            Ok(mut owner) => {
                let _ = ready.send(Ok(()));
                owner.run();
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        })?;
        let ring = Ring { shared, thread: Some(thread) };
        let died = io::Error::other("its thread died");
        result.recv().unwrap_or(Err(died)).map(|()| ring)
    }

    pub(crate) fn submit(&self, job: Box<Job>) {
        self.shared.waiting().push_back(job);
        // Either this finds the thread asleep, or the thread finds the job before it sleeps.
        self.shared.wake();
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Owner {
    ring: IoUring,
    shared: Arc<Shared>,
    /// A read of the eventfd is with the kernel.
    listens: bool,
    /// Where that read goes. Boxed: the kernel has its address.
    woken: Box<u64>,
    /// Jobs with the kernel.
    running: usize,
}

impl Owner {
    fn new(shared: Arc<Shared>) -> io::Result<Owner> {
        let newest = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(ENTRIES);
        let ring = newest.or_else(|_| IoUring::new(ENTRIES))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let codes = [
            opcode::Read::CODE,
            opcode::Readv::CODE,
            opcode::Writev::CODE,
            opcode::Fsync::CODE,
            opcode::Fallocate::CODE,
        ];
        if !codes.into_iter().all(|code| probe.is_supported(code)) {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        Ok(Owner { ring, shared, listens: false, woken: Box::new(0), running: 0 })
    }

    fn run(&mut self) {
        let mut taken = VecDeque::new();
        loop {
            std::mem::swap(&mut taken, &mut *self.shared.waiting());
            taken.drain(..).for_each(|job| self.go_on(job));
            if self.shared.stop.load(SeqCst) && self.running == 0 {
                break;
            }
            self.listen();
            self.shared.sleeps.store(true, SeqCst);
            let stops = self.shared.stop.load(SeqCst) && self.running == 0;
            if stops || !self.shared.waiting().is_empty() {
                self.shared.sleeps.store(false, SeqCst);
                continue;
            }
            // Errors are transient: interrupted, or the completions must be emptied first.
            let waited = self.ring.submit_and_wait(1);
            self.shared.sleeps.store(false, SeqCst);
            debug_assert!(waited.is_ok() || !matches!(waited, Err(ref e) if is_lasting(e)));
            self.reap();
        }
        // The pending read of the eventfd is cancelled when the ring is closed; `woken` lives until then.
        self.end_listening();
    }

    /// Takes what the kernel has completed.
    fn reap(&mut self) {
        let done: Vec<(u64, i32)> =
            self.ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (user_data, result) in done {
            if user_data == WAKE {
                self.listens = false;
                continue;
            }
            self.running -= 1;
            // SAFETY: `start` made it of a box, and the kernel is done with it.
            let mut job = unsafe {
                Box::from_raw(std::ptr::with_exposed_provenance_mut::<Job>(user_data as usize))
            };
            match job.returned(result.into()) {
                Some(status) => job.complete(status),
                None => self.go_on(job),
            }
        }
    }

    /// Gives the job's next call to the kernel, or completes it.
    fn go_on(&mut self, mut job: Box<Job>) {
        match job.next() {
            Ok(call) => {
                let address = Box::into_raw(job).expose_provenance() as u64;
                self.running += 1;
                self.push(&entry(call).user_data(address));
            }
            Err(status) => job.complete(status),
        }
    }

    fn listen(&mut self) {
        if !self.listens {
            self.listens = true;
            let fd = types::Fd(self.shared.wake.as_fd().as_raw_fd());
            let into: *mut u64 = &raw mut *self.woken;
            self.push(&opcode::Read::new(fd, into.cast(), 8).build().user_data(WAKE));
        }
    }

    /// Ends the pending read of the eventfd, so that the kernel no longer has the address of `woken`.
    fn end_listening(&mut self) {
        while self.listens {
            let _ = self.shared.wake.write(1);
            let _ = self.ring.submit_and_wait(1);
            self.reap();
        }
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: a job's memory stays until it completes, `woken` as long as the thread.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // Full: the kernel takes what is there. It may refuse while completions wait, which it keeps for us.
            let _ = self.ring.submit();
        }
    }
}

fn is_lasting(error: &io::Error) -> bool {
    !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

fn entry(call: Call) -> squeue::Entry {
    let at = |fd: RawFd| types::Fd(fd);
    match call {
        Call::Read { fd, iov, count, offset } => {
            opcode::Readv::new(at(fd), iov, count).offset(offset).build()
        }
        Call::Write { fd, iov, count, offset } => {
            opcode::Writev::new(at(fd), iov, count).offset(offset).build()
        }
        Call::Datasync { fd } => {
            opcode::Fsync::new(at(fd)).flags(types::FsyncFlags::DATASYNC).build()
        }
        Call::Fallocate { fd, mode, offset, len } => {
            opcode::Fallocate::new(at(fd), len).offset(offset).mode(mode).build()
        }
    }
}
