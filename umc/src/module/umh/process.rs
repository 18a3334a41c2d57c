// SPDX-License-Identifier: GPL-2.0-only
//! A running helper.

use std::ffi::{OsStr, c_int, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use mte::ops::WatchId;
use mte::sim::lock::Mutex;

use super::Request;
use super::output::Output;
use crate::completion::Completion;
use crate::errno::{Errno, Result};
use crate::kernel::Kernel;

/// How often the end of a process is looked for that was killed.
const LOOK_NS: u64 = 1_000_000;

/// A helper from its start until it is reaped.
pub(super) struct Process {
    kernel: &'static Kernel,
    pid: u32,
    pidfd: OwnedFd,
    child: Mutex<Child>,
    output: Arc<Output>,
    /// The watch of `pidfd`, which owns a reference to this process.
    watch: Mutex<Option<WatchId>>,
    status: AtomicI32,
    ended: Completion,
}

fn pidfd_open(pid: u32) -> Result<OwnedFd> {
    // SAFETY: plain values.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

fn spawn(
    kernel: &Kernel,
    request: &Request,
    output: std::io::PipeWriter,
) -> std::io::Result<Child> {
    // The kernel has no search path: a relative one starts at the root.
    let path = PathBuf::from("/").join(OsStr::from_bytes(request.path.to_bytes()));
    let mut command = Command::new(path);
    if let Some((name, args)) = request.argv.split_first() {
        command.arg0(OsStr::from_bytes(name.to_bytes()));
        command.args(args.iter().map(|arg| OsStr::from_bytes(arg.to_bytes())));
    }
    command.env_clear().envs(request.full_env(kernel));
    command.current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    // Handlers and libraries in C open files without O_CLOEXEC, and the program would keep them open.
    let flags = libc::CLOSE_RANGE_CLOEXEC as c_int;
    // SAFETY: only a flag of this process's descriptors is set, which none of them needs otherwise.
    unsafe { libc::close_range(3, libc::c_uint::MAX, flags) };
    let child = command.spawn()?;
    limit_descriptors(kernel, &child);
    Ok(child)
}

/// Gives a program that was just started the limit of descriptors that the configuration has for helpers.
///
/// It may have begun by then, with more than it will have: nothing that was open is closed by that. Before its start the
/// limit could only be set in a copy of this process, whose libraries and locked memory are not made to be copied.
pub fn limit_descriptors(kernel: &Kernel, child: &Child) {
    let Some((soft, hard)) = kernel.config.helper_descriptors else { return };
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    let pid = child.id() as libc::pid_t;
    // SAFETY: the limit lives through the call, and the child is not reaped yet: the number is its own. One that may not
    // be told, because it has become another user, keeps ours.
    unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
}

impl Process {
    /// Starts the program.
    pub fn start(kernel: &'static Kernel, request: &Request) -> Result<Arc<Process>> {
        let (reader, writer) = std::io::pipe()?;
        let name = request.path.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let output = Output::new(kernel, String::from_utf8_lossy(name).into_owned(), reader.into());
        // Held until the process is registered: a shutdown either refuses it here or finds it.
        let mut running = kernel.umh.running.lock();
        if running.closed {
            return Err(Errno::EBUSY);
        }
        let mut child = spawn(kernel, request, writer)?;
        let pid = child.id();
        let pidfd = pidfd_open(pid).inspect_err(|_| {
            // Without a descriptor nobody would notice its end.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        let process = Arc::new(Process {
            kernel,
            pid,
            pidfd,
            child: Mutex::new(child),
            output,
            watch: Mutex::new(None),
            status: AtomicI32::new(0),
            ended: Completion::new(),
        });
        running.processes.insert(pid, process.clone());
        drop(running);
        process.output.watch();
        process.watch_end().inspect_err(|_| process.give_up())?;
        Ok(process)
    }

    /// Asks to be told of the end.
    fn watch_end(self: &Arc<Self>) -> Result<()> {
        let arg = Arc::into_raw(self.clone());
        // Held while the watch is made: the callback waits for its number here.
        let mut watch = self.watch.lock();
        let fd = self.pidfd.as_raw_fd();
        // SAFETY: the reference in `arg` lives until the callback has ended the watch.
        let made = unsafe {
            self.kernel.ops.fd_watch(fd, libc::POLLIN as u32, on_end, arg.cast_mut().cast())
        };
        match made {
            Ok(id) => {
                *watch = Some(id);
                Ok(())
            }
            Err(error) => {
                drop(watch);
                // SAFETY: no watch was made, so the reference is still ours.
                drop(unsafe { Arc::from_raw(arg) });
                Err(error.into())
            }
        }
    }

    /// Ends a process whose end nobody would be told of. May sleep.
    fn give_up(&self) {
        self.kill();
        let never = AtomicU32::new(0);
        while !self.reap() {
            self.kernel.ops.park(&never, 0, self.kernel.ops.now_ns() + LOOK_NS);
        }
    }

    /// Waits for the end: the status as of wait(2).
    pub fn wait(&self) -> c_int {
        self.ended.wait();
        self.status.load(Ordering::Acquire)
    }

    /// Kills the process and what it started. The caller holds the lock of the running processes, or is the only one
    /// who knows the process.
    pub fn kill(&self) {
        // SAFETY: plain values; the process is not reaped yet, so the group is its own.
        unsafe { libc::kill(-(self.pid as libc::pid_t), libc::SIGKILL) };
    }

    /// Takes the status of the process, if it has ended.
    fn reap(&self) -> bool {
        let mut running = self.kernel.umh.running.lock();
        let status = match self.child.lock().try_wait() {
            Ok(Some(status)) => status.into_raw(),
            Ok(None) => return false,
            // Somebody else reaped it; there is nothing to wait for.
            Err(_) => 0,
        };
        running.processes.remove(&self.pid);
        drop(running);
        self.status.store(status, Ordering::Release);
        // What it printed last is in the log before anybody acts on its end.
        self.output.pump();
        self.ended.complete_all_for(self.kernel);
        true
    }
}

/// The descriptor of the process became readable: it has ended.
unsafe extern "C" fn on_end(arg: *mut c_void, _events: u32) {
    let process = arg.cast::<Process>().cast_const();
    // SAFETY: the watch owns a reference, which only this callback gives up.
    let this = unsafe { &*process };
    if !this.reap() {
        return;
    }
    let watch = this.watch.lock().take();
    if let Some(watch) = watch {
        this.kernel.ops.fd_unwatch(watch);
        // SAFETY: the watch is gone, and with it the user of this reference.
        drop(unsafe { Arc::from_raw(process) });
    }
}
