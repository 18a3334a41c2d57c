//! A node from start to end.
//!
//! Start: state directory and lock, kernel, disks, tree, modules, control socket, record. A failure on the way takes
//! down what was up. End, on SIGINT, SIGTERM or a stop request: modules (refused while they are in use), disks, tree,
//! socket, record.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Weak;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use umc::{Config, Kernel, sched};
use umc_protocol::node::{self as layout, NodeRecord};

use crate::args::Args;
use crate::control::{Client, Control};

/// What the services of the control socket work on.
pub struct Node {
    pub kernel: &'static Kernel,
    pub registry: handlers::Registry,
    pub record: NodeRecord,
    /// The disks below: name and what stands behind it.
    pub disks: parking_lot::Mutex<Vec<(String, String)>>,
    /// Clients whose bell rings for every record of the log.
    pub log_followers: parking_lot::Mutex<Vec<Weak<Client>>>,
    /// The tree, while it is mounted.
    mount: parking_lot::RwLock<Option<fusefs::Mount>>,
    stop: crate::control::StopFd,
    /// Held by whoever tries to end the node.
    ending: umc::mutex::KMutex<()>,
}

/// How long the last references on a module are waited for, when everything it serves was taken down.
pub const LAST_REFERENCES_NS: u64 = 2_000_000_000;

impl Node {
    /// Takes down what drivers have up, and unloads every module. An error says what is still in use; the node then
    /// goes on.
    pub fn unload_modules(&self) -> Result<()> {
        let _one_at_a_time = self.ending.lock();
        self.settle();
        crate::takedown::everything(self.kernel)
            .with_context(|| format!("Cannot stop node {}", self.record.name))?;
        for module in umc::module::list(self.kernel) {
            umc::module::wait_unused(self.kernel, &module.name, LAST_REFERENCES_NS);
            umc::module::remove(self.kernel, &module.name)
                .with_context(|| format!("Cannot stop node {}", self.record.name))?;
        }
        Ok(())
    }

    /// Waits until devices that were closed before this call are released by their drivers; false when that takes long.
    pub fn settle(&self) -> bool {
        self.mount.read().as_ref().is_none_or(fusefs::Mount::settle)
    }

    fn ring_log_followers(&self) {
        self.log_followers.lock().retain(|follower| match follower.upgrade() {
            Some(client) => {
                client.ring();
                true
            }
            None => false,
        });
    }

    /// Makes the main thread end the node.
    pub fn request_stop(&self) {
        self.stop.raise();
    }

    /// Adds a disk from `HANDLER/CONFIG`.
    pub fn add_disk(&self, name: &str, spec: &str, size: Option<u64>) -> Result<()> {
        handlers::open_disk(self.kernel, &self.registry, name, spec, size)?;
        self.disks.lock().push((name.into(), spec.into()));
        Ok(())
    }
}

/// Directories of a node, made and locked.
struct Directories {
    node: PathBuf,
    root: PathBuf,
    state: PathBuf,
    /// Held as long as the node runs: a second node of this name, or on this state, is refused.
    _locks: Vec<Flock<File>>,
}

fn lock(path: &Path, what: &str) -> Result<Flock<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.with_context(|| format!("Cannot open lock file {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        anyhow::anyhow!("{what} is in use by another node ({}: {errno}). See umc ls; stop that node, or choose another.", path.display())
    })
}

fn directories(args: &Args) -> Result<Directories> {
    let node = layout::node_dir(&args.name).map_err(anyhow::Error::msg)?;
    fs::create_dir_all(&node).with_context(|| format!("Cannot create {}", node.display()))?;
    let state = args.state.clone().unwrap_or_else(|| node.join(layout::STATE));
    for (name, _) in umc_protocol::tree::STATE_DIRS {
        let dir = state.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("Cannot create {}", dir.display()))?;
    }
    let state = state.canonicalize().with_context(|| format!("Cannot open {}", state.display()))?;
    let locks = vec![
        lock(&node.join("node.lock"), &format!("Node name {}", args.name))?,
        lock(&state.join("state.lock"), &format!("State directory {}", state.display()))?,
    ];
    // A node that was killed leaves its mount: the path cannot even be looked at before that is gone.
    fusefs::clear_stale(&args.root)?;
    fs::create_dir_all(&args.root)
        .with_context(|| format!("Cannot create {}", args.root.display()))?;
    let root = args
        .root
        .canonicalize()
        .with_context(|| format!("Cannot open root directory {}", args.root.display()))?;
    Ok(Directories { node, root, state, _locks: locks })
}

/// What usermode helpers find in their environment, so that the tools they call reach this node.
fn helper_env(root: &Path) -> Result<Vec<(String, String)>> {
    let me = std::env::current_exe().context("Cannot find out where umcd itself is")?;
    let preload = me.with_file_name("libumc_preload.so");
    Ok(vec![
        ("LD_PRELOAD".into(), preload.display().to_string()),
        ("UMC_FS_ROOT".into(), root.display().to_string()),
    ])
}

/// Runs a node until it is told to stop.
pub fn run(args: Args) -> Result<()> {
    // Before any thread is started, so that all of them inherit the mask and only the signalfd sees these.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().context("Cannot block signals")?;
    let signal_fd = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("Cannot make a signalfd")?;

    let dirs = directories(&args)?;
    let kernel = Kernel::boot(Config {
        name: args.name.clone(),
        fs_root: dirs.root.display().to_string(),
        helper_env: helper_env(&dirs.root)?,
    });
    sched::attach(kernel, "umcd");
    umc::bug::install(kernel);
    let hung_tasks = sched::watch_hung_tasks(kernel, args.hung_task_timeout)
        .context("Cannot start the watch for hung tasks")?;
    kernel
        .tree
        .add_file(
            "/proc/sys/kernel/hostname",
            0o444,
            umc::tree::text({
                let line = format!("{}\n", args.name);
                move || line.clone()
            }),
        )
        .context("Cannot make /proc/sys/kernel/hostname")?;
    umc::sysrq::install(kernel).context("Cannot make /proc/sysrq-trigger")?;

    let control_path = dirs.node.join(layout::CONTROL);
    let record = NodeRecord {
        name: args.name.clone(),
        pid: std::process::id(),
        start_time: layout::process_start_time(std::process::id()).unwrap_or_default(),
        root: dirs.root.clone(),
        state: dirs.state.clone(),
        control: control_path.clone(),
        started: mte::current().realtime_ns() / 1_000_000_000,
    };
    let stop = crate::control::StopFd::new()?;
    let stop_fd = stop.clone();
    let node: &'static Node = Box::leak(Box::new(Node {
        kernel,
        registry: handlers::Registry::new(
            args.handler_dirs.iter().cloned().chain([handlers::DEBIAN_DIR.into()]),
        ),
        record,
        disks: Default::default(),
        log_followers: Default::default(),
        mount: Default::default(),
        stop,
        ending: umc::mutex::KMutex::new(()),
    }));
    kernel.set_console(Box::new(|record| {
        eprintln!("{record}");
        node.ring_log_followers();
    }));
    for disk in &args.disks {
        node.add_disk(&disk.name, &disk.spec, disk.size)?;
    }

    let extra = vec![
        ("control".to_owned(), control_path.clone()),
        ("state".to_owned(), dirs.state.clone()),
    ];
    *node.mount.write() = Some(fusefs::mount(kernel, &dirs.root, extra)?);
    let control =
        match load_modules(node, &args).and_then(|()| Control::listen(node, &control_path)) {
            Ok(control) => control,
            Err(error) => {
                let _ = node.unload_modules();
                close_disks(node);
                let _ = unmount(node);
                return Err(error);
            }
        };
    node.record.publish(&dirs.node).context("Cannot write the node's record")?;
    tracing::info!("node {} is up, root {}", args.name, dirs.root.display());

    wait_for_end(node, &signal_fd, &stop_fd);

    tracing::info!("node {} goes down", args.name);
    let _ = fs::remove_file(dirs.node.join(layout::RECORD));
    control.close();
    close_disks(node);
    unmount(node).context("Cannot unmount the node's root")?;
    umc::umh::shutdown(kernel);
    handlers::shutdown();
    drop(hung_tasks);
    sched::shutdown(kernel);
    let _ = fs::remove_file(&control_path);
    Ok(())
}

fn load_modules(node: &Node, args: &Args) -> Result<()> {
    for module in &args.modules {
        crate::requests::modprobe(node, &module.name, &module.params)?;
    }
    Ok(())
}

fn unmount(node: &Node) -> Result<()> {
    let mount = node.mount.write().take();
    mount.map_or(Ok(()), fusefs::Mount::unmount)?;
    Ok(())
}

fn close_disks(node: &Node) {
    for (name, _) in node.disks.lock().drain(..) {
        if let Err(in_use) = umc::blkdev::del_disk(node.kernel, &name) {
            tracing::warn!("disk {name}: {in_use}");
        }
    }
}

/// Returns when the node is to end and its modules are unloaded.
fn wait_for_end(node: &Node, signal_fd: &SignalFd, stop_fd: &crate::control::StopFd) {
    loop {
        let mut fds = [
            libc::pollfd { fd: signal_fd.as_raw_fd(), events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: stop_fd.as_raw_fd(), events: libc::POLLIN, revents: 0 },
        ];
        // SAFETY: the array lives through the call.
        unsafe { libc::poll(fds.as_mut_ptr(), 2, -1) };
        if stop_fd.taken() {
            return;
        }
        if let Ok(Some(signal)) = signal_fd.read_signal() {
            tracing::info!("signal {}", signal.ssi_signo);
            match node.unload_modules() {
                Ok(()) => return,
                Err(error) => tracing::error!("{error:#}"),
            }
        }
    }
}

/// Refuses early, with a name, what would fail late without one.
pub fn check_module_path(path: &Path) -> Result<()> {
    if !path.is_absolute() || !path.is_file() {
        bail!(
            "Cannot load {}: there is no such file. Give the path of a .so that umc build made.",
            path.display()
        );
    }
    Ok(())
}
