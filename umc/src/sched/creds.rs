// SPDX-License-Identifier: GPL-2.0-only
//! Whose behalf a task acts on.

use std::cell::Cell;

use super::{RawComm, current_task, raw_comm};

/// The caller of a request, as the host's kernel vouched for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creds {
    /// Its process id on the host; 0 for the kernel itself.
    pub pid: i32,
    /// Its user id.
    pub uid: u32,
    /// Its capabilities: bit `CAP_X` set means it has `CAP_X`.
    pub caps: u64,
}

impl Creds {
    /// The kernel itself, which may do everything.
    pub const KERNEL: Creds = Creds { pid: 0, uid: 0, caps: u64::MAX };
}

thread_local! {
    static CREDS: Cell<Creds> = const { Cell::new(Creds::KERNEL) };
}

/// From here on the calling thread acts on behalf of `creds`.
pub(crate) fn set_creds(creds: Creds) {
    CREDS.set(creds);
}

/// Runs `f` on behalf of `creds`: `capable()` judges them during `f`, on this thread.
pub fn with_creds<R>(creds: Creds, f: impl FnOnce() -> R) -> R {
    struct Restore(Creds);
    impl Drop for Restore {
        fn drop(&mut self) {
            CREDS.set(self.0);
        }
    }
    let _restore = Restore(CREDS.replace(creds));
    f()
}

/// On whose behalf the calling thread acts.
pub fn current_creds() -> Creds {
    CREDS.get()
}

/// The name of a program of the host, as `task_struct::comm` has it.
#[derive(Clone, Copy)]
pub struct Comm(RawComm);

impl Comm {
    /// Of a process of the host; `None` when it is gone, or cannot be seen from here.
    pub fn of_process(pid: u32) -> Option<Comm> {
        let line = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
        Some(Comm(raw_comm(line.strip_suffix(b"\n").unwrap_or(&line))))
    }
}

/// Runs `f` with `current->comm` being the name of the program that it is run for, if that is known: on Linux a system
/// call runs in the task of its caller.
pub fn with_comm<R>(comm: Option<Comm>, f: impl FnOnce() -> R) -> R {
    struct Restore(RawComm);
    impl Drop for Restore {
        fn drop(&mut self) {
            current_task().set_raw_comm(self.0);
        }
    }
    let _restore = comm.map(|comm| {
        let task = current_task();
        let before = task.raw_comm();
        task.set_raw_comm(comm.0);
        Restore(before)
    });
    f()
}
