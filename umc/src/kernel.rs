// SPDX-License-Identifier: GPL-2.0-only
//! One emulated kernel.
//!
//! Everything that Linux keeps in global variables hangs off a [`Kernel`]; a task knows its kernel. A process may
//! hold several: tests and the simulator do. A kernel is never freed (its subsystems empty themselves at shutdown),
//! so `&'static Kernel` can be handed around freely.

use mte::Ops;

/// What a kernel is made from.
pub struct Config {
    /// The node's name: `utsname()->nodename`, and the prefix of its log.
    pub name: String,
    /// The directory where the node's tree is mounted, without a slash at its end; empty when it is not. Paths of disks
    /// may begin with it.
    pub fs_root: String,
    /// Environment that is added to every usermode helper, so that stock tools it calls reach this very node.
    pub helper_env: Vec<(String, String)>,
    /// How many descriptors a usermode helper may have, soft and hard, where that is not as many as this process.
    pub helper_descriptors: Option<(u64, u64)>,
    /// Major numbers that a block driver which asks for any does not get: those of the host's drivers, so that programs which
    /// know a file system by the number of its device do not take one of the host for one of the node.
    pub host_majors: Vec<u32>,
    /// Names of the host, as absolute paths, for which others of it stand: what a driver opens by a path at or below the first of
    /// a pair is at or below the second. For what drivers keep in files.
    pub moved: Vec<(String, String)>,
    /// Report what Linux only reports when it was built for debugging: calls in atomic context of what may sleep but does
    /// not have to, unlocks by who does not hold the lock. On by default.
    pub debug_checks: bool,
}

impl Default for Config {
    fn default() -> Config {
        let (name, fs_root, helper_env, helper_descriptors, host_majors) = Default::default();
        let moved = Vec::new();
        Config {
            name,
            fs_root,
            helper_env,
            helper_descriptors,
            host_majors,
            moved,
            debug_checks: true,
        }
    }
}

/// What the floors above the scheduler do at the turns in a task's life.
static ABOVE_SCHED: crate::sched::Above = crate::sched::Above {
    task_made: crate::rcupdate::reap,
    task_ended: crate::rcupdate::put_task_later,
    reader_left: crate::rcupdate::reader_left,
    worker_sleeps: crate::workqueue::worker_sleeps,
    worker_runs: crate::workqueue::worker_runs,
    flush_plug: crate::plug::flush_plug_from_schedule,
    flush_sends: crate::sock_held::flush_before_sleep,
};

/// One emulated kernel: the state of every subsystem.
pub struct Kernel {
    /// What it was made from.
    pub config: Config,
    /// Its provider of time, threads and sockets.
    pub ops: &'static Ops,
    /// Its `/dev`, `/proc` and `/sys`.
    pub tree: crate::tree::Tree,
    pub(crate) bit_waits: crate::wait::bit::State,
    pub(crate) block: crate::blkdev::State,
    pub(crate) cpuhp: crate::sync::cpuhp::State,
    pub(crate) fs: crate::fs::State,
    pub(crate) genl: crate::genetlink::State,
    pub(crate) kobject: crate::kobject::State,
    pub(crate) latency: crate::latency::State,
    pub(crate) log: crate::printk::Log,
    pub(crate) modules: crate::module::State,
    pub(crate) mq: crate::mq::State,
    pub(crate) rcu: crate::rcupdate::State,
    pub(crate) sched: crate::sched::State,
    pub(crate) srcu: crate::srcu::State,
    pub(crate) timer: crate::timer::State,
    pub(crate) umh: crate::umh::State,
    pub(crate) utsname: crate::utsname::State,
    pub(crate) workqueue: crate::workqueue::State,
}

impl Kernel {
    /// Boots a kernel on the calling thread's provider.
    pub fn boot(config: Config) -> &'static Kernel {
        crate::mm::init();
        let kernel: &'static Kernel = Box::leak(Box::new(Kernel {
            config,
            ops: mte::current(),
            tree: Default::default(),
            bit_waits: Default::default(),
            block: Default::default(),
            cpuhp: Default::default(),
            fs: Default::default(),
            genl: Default::default(),
            kobject: Default::default(),
            latency: Default::default(),
            log: Default::default(),
            modules: Default::default(),
            mq: Default::default(),
            rcu: Default::default(),
            sched: crate::sched::State::new(&ABOVE_SCHED),
            srcu: Default::default(),
            timer: Default::default(),
            umh: Default::default(),
            utsname: Default::default(),
            workqueue: Default::default(),
        }));
        crate::latency::boot(kernel);
        kernel
    }

    /// Ends the kernel's own threads: work queues, timers, RCU callbacks. Call it when no module is left. May sleep.
    /// What is used again afterwards starts again.
    pub fn shutdown(&'static self) {
        crate::sched::with_kernel(self, || {
            crate::mq::shutdown(self);
            crate::workqueue::shutdown(self);
            crate::timer::shutdown(self);
            crate::rcupdate::shutdown(self);
            crate::context::report::flush(self);
        });
    }

    /// The kernel of the calling task.
    ///
    /// # Panics
    /// On a thread that was never attached to a kernel: [`crate::sched::attach`] was forgotten.
    #[inline]
    pub fn current() -> &'static Kernel {
        crate::sched::current_kernel()
    }
}
