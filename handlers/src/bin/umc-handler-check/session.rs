// SPDX-License-Identifier: GPL-2.0-only
//! An open device, and the threads that may call the handler for it.

use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use handlers::abi::{self, Handler, Status, sts};
use handlers::device::{Device, TRANSFER_MAX_BYTES};

use crate::request::{Called, Request, What};

/// No answer takes longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Repetitions of a request that the handler is too busy for, and the pause between them.
const BUSY_MAX: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Callers of a handler that only queues.
const QUEUEING_CALLERS: usize = 4;
const CALLERS_MAX: usize = 16;

/// Why a check cannot go on.
pub enum Failure {
    /// A rule is broken; the device can be used further.
    Broken(String),
    /// And the handler has not let go of a request: nothing can be called any more.
    Stuck(String),
}

struct Shared {
    handler: &'static Handler,
    device: Box<Device>,
    block: u64,
    calls: Mutex<(VecDeque<&'static Request>, bool)>,
    changed: Condvar,
}

pub struct Session {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
    pub block: u64,
    pub size: u64,
    pub transfer_max: u64,
    pub unmap_max: u64,
}

impl Session {
    /// Opens the device as a node does.
    pub fn open(handler: &'static Handler, spec: &str, size: u64) -> Result<Session, String> {
        let log = Box::new(|_level: umc::printk::Level, text: &str| eprintln!("        {text}"));
        let spec = CString::new(spec).map_err(|_| "the config contains a NUL byte".to_owned())?;
        let device =
            Device::new("check", spec, c"00000000-0000-0000-0000-000000000001".into(), size, log);
        device.attributes.unmap.store(handler.unmap.is_some(), Relaxed);
        let open = handler.open.ok_or("it has no open")?;
        // SAFETY: the ABI's contract: a device with its geometry, not open yet.
        let ret = unsafe { open(device.as_abi(), false) };
        if ret < 0 {
            return Err(format!("open returned {ret}"));
        }
        let block = u64::from(device.attributes.block_size.load(Relaxed));
        let opened = device.size_bytes().filter(|opened| *opened > 0);
        let valid = block.is_power_of_two() && (512..=4096).contains(&block);
        let (Some(opened), true) = (opened, valid) else {
            let blocks = device.attributes.num_lbas.load(Relaxed);
            return Err(format!("it set {blocks} blocks of {block} bytes"));
        };
        let most = u64::from(device.attributes.max_xfer_len.load(Relaxed)).min(0xffff) * block;
        let unmap_max = u64::from(device.attributes.max_unmap_len.load(Relaxed)) * block;
        let callers = match handler.nr_threads {
            1.. => (handler.nr_threads as usize).min(CALLERS_MAX),
            _ if handler.handle_cmd.is_some() => 1,
            _ => QUEUEING_CALLERS,
        };
        let shared = Arc::new(Shared {
            handler,
            device,
            block,
            calls: Mutex::default(),
            changed: Condvar::new(),
        });
        let callers = (0..callers).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        });
        Ok(Session {
            callers: callers.collect(),
            block,
            size: opened,
            transfer_max: most.min(TRANSFER_MAX_BYTES.into()).max(block),
            unmap_max: unmap_max.max(block),
            shared,
        })
    }

    /// Hands the requests over without waiting in between, and waits for all: each has to end well.
    pub fn run(&self, requests: &[&'static Request]) -> Result<(), Failure> {
        let mut pending: Vec<&'static Request> = requests.to_vec();
        for _ in 0..BUSY_MAX {
            self.shared.push(&pending);
            let deadline = Instant::now() + PATIENCE;
            let mut busy = Vec::new();
            let mut failed = None;
            for request in pending {
                match request.wait(deadline) {
                    Some(sts::OK) => {}
                    Some(status) if Request::is_busy(status) => busy.push(request),
                    Some(status) => {
                        failed = Some(format!("{} failed with status {status}", request.describe()))
                    }
                    None => {
                        let text = format!(
                            "{}: no answer in {} s",
                            request.describe(),
                            PATIENCE.as_secs()
                        );
                        return Err(Failure::Stuck(text));
                    }
                }
            }
            if let Some(text) = failed {
                return Err(Failure::Broken(text));
            }
            if busy.is_empty() {
                return Ok(());
            }
            pending = busy;
            thread::sleep(BUSY_PAUSE);
        }
        Err(Failure::Broken(format!("busy for {BUSY_MAX} repetitions of a request")))
    }

    /// Ends the callers, and closes the device. Nothing may be running.
    pub fn close(self) {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.shared.changed.notify_all();
        for caller in self.callers {
            let _ = caller.join();
        }
        if let Some(close) = self.shared.handler.close {
            // SAFETY: the ABI's contract: an open device, no call running.
            unsafe { close(self.shared.device.as_abi()) };
        }
        // A handler that breaks the rules may still use it.
        std::mem::forget(self.shared);
    }
}

impl Shared {
    fn push(&self, requests: &[&'static Request]) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).0.extend(requests);
        self.changed.notify_all();
    }

    fn work(&self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(request) = calls.0.pop_front() {
                drop(calls);
                let called = self.call(request);
                request.returned(called);
                calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            } else if calls.1 {
                return;
            } else {
                calls = self.changed.wait(calls).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Calls the handler by the rules of its kind.
    fn call(&self, request: &'static Request) -> Called {
        let (handler, dev) = (self.handler, self.device.as_abi());
        let (cmd, pieces, count) = request.prepare(self.block);
        let has_cdb = matches!(request.what, What::Read | What::Write | What::Flush);
        if let Some(handle_cmd) = handler.handle_cmd.filter(|_| has_cdb) {
            // SAFETY: the ABI's contract: a live device, a command with a CDB and private pieces.
            match unsafe { handle_cmd(dev, cmd) } {
                sts::ASYNC_HANDLED => return Called::Queued,
                sts::NOT_HANDLED if handler.read.is_some() => {}
                status => return Called::Final(status),
            }
        }
        let (offset, len) = (request.offset, request.len);
        // SAFETY: the ABI's contract: a live device, a command, private pieces that stay, a range inside the device and
        // in whole blocks.
        let status: Option<Status> = unsafe {
            match request.what {
                What::Read => handler
                    .read
                    .map(|read| read(dev, cmd, pieces, count, len as usize, offset as i64)),
                What::Write => handler
                    .write
                    .map(|write| write(dev, cmd, pieces, count, len as usize, offset as i64)),
                What::Flush => handler.flush.map(|flush| flush(dev, cmd)),
                What::Unmap => handler.unmap.map(|unmap| unmap(dev, cmd, offset, len)),
                What::WriteSame => {
                    handler.writesame.map(|same| same(dev, cmd, offset, len, pieces, count))
                }
            }
        };
        match status {
            Some(sts::OK) if handler.nr_threads == 0 => Called::Queued,
            Some(status) => Called::Final(status),
            None => Called::Final(abi::sts::NOT_HANDLED),
        }
    }
}
