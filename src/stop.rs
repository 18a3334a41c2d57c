// SPDX-License-Identifier: GPL-2.0-only
//! What ends a node: a signal, or a request that came to the control socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use polling::{Event, Events, PollMode, Poller};

/// Shared by the main thread, which waits, and whoever asks.
#[derive(Clone)]
pub struct Stop(Arc<Inner>);

struct Inner {
    // Before the descriptor that is in it, so it goes first.
    poller: Poller,
    signals: SignalFd,
    asked: AtomicBool,
}

/// Why the main thread woke.
pub enum Cause {
    /// The node's modules are unloaded, and it is to end.
    Asked,
    /// The number of a signal that asks for the end.
    Signal(u32),
}

impl Stop {
    /// From now on SIGINT and SIGTERM are for [`Stop::wait`] alone. For a process that has one thread: those that it
    /// starts inherit the mask.
    pub fn new() -> Result<Stop> {
        let asking = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        asking.thread_block().context("Cannot block signals")?;
        let signals = SignalFd::with_flags(&asking, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("Cannot make a signalfd")?;
        let poller = Poller::new().context("Cannot make a poller")?;
        // SAFETY: `signals` is open for as long as the poller is there.
        unsafe { poller.add_with_mode(&signals, Event::readable(0), PollMode::Level) }
            .context("Cannot wait for signals")?;
        Ok(Stop(Arc::new(Inner { poller, signals, asked: AtomicBool::new(false) })))
    }

    /// Asks the main thread to end the node. Never waits.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        let _ = self.0.poller.notify();
    }

    /// Waits for the next request or signal. For the main thread only: a poller has one that waits.
    pub fn wait(&self) -> Cause {
        let mut events = Events::new();
        loop {
            if self.0.asked.swap(false, Ordering::Acquire) {
                return Cause::Asked;
            }
            // Neither fails: both descriptors are open.
            if let Ok(Some(signal)) = self.0.signals.read_signal() {
                return Cause::Signal(signal.ssi_signo);
            }
            events.clear();
            let _ = self.0.poller.wait(&mut events, None);
        }
    }
}
