// SPDX-License-Identifier: GPL-2.0-only
//! What a task can do and say about itself.
//!
//! All of it may be called from any thread: outside of a simulation it does nothing.

use std::marker::PhantomData;

use super::HostId;
use super::outcome::Failure;
use super::state::{Core, Id};
use super::threads::{self, Main};

/// A place where the simulation may hand on, as at a call of the table. For the entries of emulated kernel functions
/// whose fast paths do not call the table. The caller holds no lock of the host, except those of [`super::lock`].
#[inline]
pub fn preempt_point() {
    if let Some(me) = threads::me()
        && threads::may_preempt()
    {
        drop(me.core.preempt(me.core.begin_call(), me));
    }
}

/// Lets another task run, for a loop that spins. False outside of a simulation: then nothing was done.
#[inline]
pub fn relax() -> bool {
    let Some(me) = threads::me().filter(|_| !threads::is_exiting()) else { return false };
    me.core.ops().yield_now();
    true
}

/// As long as it lives the calling task is not preempted; calls that must wait still do.
#[derive(Debug)]
pub struct NoPreempt(PhantomData<*const ()>);

/// Begins a section without preemption. Sections may nest.
pub fn no_preempt() -> NoPreempt {
    threads::add_no_preempt(1);
    NoPreempt(PhantomData)
}

impl Drop for NoPreempt {
    fn drop(&mut self) {
        threads::add_no_preempt(-1);
    }
}

/// Moves the calling task, and those it starts from now on, to a host; returns the one it was on.
///
/// # Panics
/// When the host was killed and not revived.
pub fn set_host(host: HostId) -> HostId {
    let Some(me) = threads::me() else { return 0 };
    let mut state = me.core.lock();
    let is_up = state.net.is_up(host);
    let old = if is_up { std::mem::replace(&mut state.task(me.id).host, host) } else { host };
    drop(state);
    assert!(is_up, "host {host} is switched off");
    old
}

/// The host of the calling task.
pub fn host() -> HostId {
    threads::me().map_or(0, |me| me.core.lock().task(me.id).host)
}

/// Folds `text` into the hash of the calling task's simulation, and logs it. It must be the same in each run: no
/// addresses, no host's time.
pub fn trace(text: &str) {
    if let Some(me) = threads::me() {
        me.core.lock().trace(Some(me), text);
    }
}

/// Fails the run of the calling task and does not return; the task never runs again. Outside of a simulation it
/// returns.
pub fn fail(message: &str) {
    if let Some(me) = threads::me()
        && !threads::is_exiting()
    {
        let mut state = me.core.lock();
        let task = state.task(me.id).name.clone();
        state.failure = Some(Failure::Reported { task, message: message.to_owned() });
        me.core.end_run(state, me);
    }
}

/// Seed, virtual time, host and name of the calling task, for reports.
pub fn describe_current() -> Option<String> {
    let me = threads::me()?;
    let state = me.core.try_lock()?;
    let task = state.tasks.get(&me.id)?;
    let seconds = (state.now - state.start) as f64 / 1e9;
    Some(format!(
        "seed {}, virtual time {seconds:.6} s, host {}, {}",
        me.core.seed, task.host, task.name
    ))
}

impl Core {
    /// Starts a task from the calling one.
    pub fn spawn_here(
        &'static self,
        host: HostId,
        name: &str,
        main: Box<dyn FnOnce() + Send>,
    ) -> Id {
        let Some(me) = threads::me_of(self) else { threads::refuse(self, "starts a task") };
        let mut state = self.begin_call();
        let spawned = if state.net.is_up(host) {
            state.spawn(host, name, Main::Rust(main)).map_err(|(error, _)| error)
        } else {
            Err(libc::EHOSTDOWN)
        };
        match spawned {
            Ok(id) => {
                drop(self.preempt(state, me));
                id
            }
            Err(error) => {
                drop(state);
                let error = std::io::Error::from_raw_os_error(error);
                panic!("cannot start the task {name} on host {host}: {error}")
            }
        }
    }
}
