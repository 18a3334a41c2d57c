// SPDX-License-Identifier: GPL-2.0-only
//! `drbdsetup events2` of every node: who shows nodes is woken when something changes, and need not wait for the next look.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

use super::target::{Chosen, Target};

/// Watches nodes as long as it is there.
pub struct Follow {
    chosen: Chosen,
    followed: Vec<Followed>,
    changes: Receiver<()>,
    to: SyncSender<()>,
}

struct Followed {
    /// Its node: the process number.
    pid: u32,
    child: Child,
}

impl Follow {
    /// From now on.
    pub fn begin(chosen: &Chosen) -> Follow {
        // One word is enough for any number of changes.
        let (to, changes) = sync_channel(1);
        let mut follow = Follow { chosen: chosen.clone(), followed: Vec::new(), changes, to };
        follow.renew();
        follow
    }

    /// Nodes that came since are watched too. To be called now and then.
    pub fn renew(&mut self) {
        self.followed.retain_mut(|of| matches!(of.child.try_wait(), Ok(None)));
        for target in self.chosen.targets().unwrap_or_default() {
            let Some(pid) = target.record.as_ref().map(|record| record.pid) else { continue };
            let is_new = !self.followed.iter().any(|of| of.pid == pid);
            if is_new && let Some(child) = begin(&target, self.to.clone()) {
                self.followed.push(Followed { pid, child });
            }
        }
    }

    /// Whether something changed since the last time.
    pub fn has_changed(&self) -> bool {
        self.changes.try_recv().is_ok()
    }

    /// Waits for a change, at most so long: whether there is one.
    pub fn wait(&self, at_most: Duration) -> bool {
        self.changes.recv_timeout(at_most).is_ok()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        for of in &mut self.followed {
            let _ = of.child.kill();
            let _ = of.child.wait();
        }
    }
}

/// One node, if its driver is there. Its end is a change too.
fn begin(target: &Target, to: SyncSender<()>) -> Option<Child> {
    if !target.file("proc/drbd")?.exists() {
        return None;
    }
    let mut command = target.stock(&["drbdsetup", "events2"]).ok()?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let me = getpid();
    let ends_with_us = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // Gone meanwhile: nobody would say so any more.
        if getppid() == me { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // A Follow is dropped by the thread that made it, so its death is that of who reads this. The way into a node changes
    // credentials, which would undo it; that comes first, since it is told first.
    // SAFETY: between fork and exec only prctl(2) and getppid(2) are called.
    unsafe { command.pre_exec(ends_with_us) };
    let mut child = command.spawn().ok()?;
    let lines = BufReader::new(child.stdout.take()?).lines();
    #[allow(clippy::disallowed_methods, reason = "no node's thread")]
    std::thread::spawn(move || {
        for _ in lines.map_while(Result::ok) {
            let _ = to.try_send(());
        }
        let _ = to.try_send(());
    });
    Some(child)
}
