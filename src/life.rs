// SPDX-License-Identifier: GPL-2.0-only
//! A node's life, from start to end.
//!
//! Start: state directory and lock, kernel, disks, tree, modules, control socket, record. A failure on the way takes
//! down what was up. End, on SIGINT, SIGTERM or a stop request: modules (refused while they are in use), disks, tree,
//! socket, record.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use umc::{Config, Kernel, sched};
use umc_protocol::daemons;
use umc_protocol::node::{self as layout, NodeRecord};
use umc_protocol::tools;

use crate::control::Control;
use crate::log::Log;
use crate::node::Node;
use crate::stop::{Cause, Stop};
use crate::udev::Udev;
use umc_protocol::umcd_args::Args;

/// How long a lock that another has is waited for, and how often it is tried.
const LOCK_NS_MAX: u64 = 2_000_000_000;
const LOCK_TRY_NS: u64 = 10_000_000;

/// Directories of a node, made and locked.
struct Directories {
    node: PathBuf,
    root: PathBuf,
    state: PathBuf,
    /// Held as long as the node runs: a second node of this name, or on this state, is refused.
    _locks: Vec<Flock<File>>,
}

/// Takes a lock of the node. One that was killed just now still has it, and so does, for a moment, who clears up after
/// it: it is waited for within bounds.
fn lock(path: &Path, what: &str) -> Result<Flock<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let mut file = file.with_context(|| format!("Cannot open lock file {}", path.display()))?;
    let ops = mte::current();
    let deadline_ns = ops.now_ns() + LOCK_NS_MAX;
    loop {
        let errno = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((again, Errno::EWOULDBLOCK)) if ops.now_ns() < deadline_ns => {
                file = again;
                ops.park(&AtomicU32::new(0), 0, ops.now_ns() + LOCK_TRY_NS);
                continue;
            }
            Err((_, errno)) => errno,
        };
        bail!(
            "{what} is in use by another node ({}: {errno}). See umc ls; stop that node, or choose another.",
            path.display()
        );
    }
}

fn directories(args: &Args, log: &Log) -> Result<Directories> {
    let node = layout::make_node_dir(&args.name).map_err(anyhow::Error::msg)?;
    let state = args.state.clone().unwrap_or_else(|| node.join(layout::STATE));
    for name in cdrivers::catalogue::state_dirs().into_iter().chain(tools::state_dirs()) {
        let dir = state.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("Cannot create {}", dir.display()))?;
    }
    let state = state.canonicalize().with_context(|| format!("Cannot open {}", state.display()))?;
    let locks = vec![
        lock(&node.join(layout::ALIVE), &format!("Node name {}", args.name))?,
        lock(&state.join("state.lock"), &format!("State directory {}", state.display()))?,
    ];
    if let Some(path) = &args.log {
        log.move_to(path).with_context(|| format!("Cannot begin the log {}", path.display()))?;
    }
    // A node that was killed leaves its mount: the path cannot even be looked at before that is gone.
    fusefs::clear_stale(&args.root)?;
    fs::create_dir_all(&args.root)
        .with_context(|| format!("Cannot create {}", args.root.display()))?;
    let root = args
        .root
        .canonicalize()
        .with_context(|| format!("Cannot open root directory {}", args.root.display()))?;
    crate::orphans::end(&root);
    crate::node::ended(daemons::kill(&state, &root));
    Ok(Directories { node, root, state, _locks: locks })
}

/// What usermode helpers find in their environment, so that the tools they call reach this node.
fn helper_env(root: &Path) -> Result<Vec<(String, String)>> {
    let me = std::env::current_exe().context("Cannot find out where umcd itself is")?;
    let preload = me.with_file_name("libumc_preload.so");
    let environment = tools::ENVIRONMENT.map(|(name, value)| (name.into(), value.into()));
    Ok(Vec::from_iter(environment.into_iter().chain([
        ("LD_PRELOAD".into(), preload.display().to_string()),
        (layout::FS_ROOT.into(), root.display().to_string()),
        (layout::HELPER_OF.into(), root.display().to_string()),
    ])))
}

/// The major numbers of the host's block drivers; none where they cannot be read.
fn host_majors() -> Vec<u32> {
    let text = fs::read_to_string("/proc/devices").unwrap_or_default();
    let blocks = text.lines().skip_while(|line| *line != "Block devices:").skip(1);
    blocks.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

/// Takes as many descriptors as the host allows: every connection, image and kernel thread has one, and the usual soft
/// limit is for programs that use select(2). What is refused is not needed yet. Returns the limit as it was, soft and hard:
/// that of programs which the node runs.
fn raise_descriptor_limit() -> Option<(u64, u64)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    Some((soft, hard))
}

/// Runs a node until it is told to stop. `prepared` is what came of the preparation for a host without memory.
pub fn run(args: Args, log: &Log, prepared: std::io::Result<()>) -> Result<()> {
    // Before any thread is started.
    let stop = Stop::new()?;
    let helper_descriptors = raise_descriptor_limit();
    mte::engine::start().context("Cannot start the event threads")?;
    let dirs = directories(&args, log)?;
    let kernel = Kernel::boot(Config {
        name: args.name.clone(),
        fs_root: dirs.root.display().to_string(),
        helper_env: helper_env(&dirs.root)?,
        helper_descriptors,
        host_majors: host_majors(),
        moved: tools::moved(&dirs.state),
        debug_checks: std::env::var_os("UMC_DEBUG_CHECKS").is_some(),
    });
    sched::attach(kernel, "umcd");
    log.attach(kernel);
    umc::bug::install(kernel);
    let hung_tasks = umc::hung_task::watch_hung_tasks(kernel, args.hung_task_timeout)
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
    umc::kmsg::install(kernel).context("Cannot make /dev/kmsg")?;
    umc::task_list::install(kernel).context("Cannot make the list of tasks in debugfs")?;
    umc::sysrq::install(kernel).context("Cannot make /proc/sysrq-trigger")?;
    umc::miscdevice::install(kernel).context("Cannot make /proc/misc")?;
    // Where every kernel has one that has any driver for it.
    kernel.tree.mkdir("/sys/kernel/config").context("Cannot make /sys/kernel/config")?;

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
    let registry = handlers::Registry::new(
        args.handler_dirs.iter().cloned().chain([handlers::DEBIAN_DIR.into()]),
    );
    let node = Node::new(kernel, registry, record, stop.clone());
    kernel.set_console(Box::new({
        let log = log.clone();
        move |record| {
            log.line(&record.to_string());
            node.ring_log_followers();
        }
    }));
    for disk in &args.disks {
        node.add_disk(&disk.name, &disk.spec, disk.size)?;
    }

    let extra = vec![
        ("control".to_owned(), control_path.clone()),
        ("state".to_owned(), dirs.state.clone()),
    ];
    node.mounted(fusefs::mount(kernel, &dirs.root, extra)?);
    let udev = Udev::start(kernel)?;
    let control = match serve(node, &args, &control_path, &dirs.node) {
        Ok(control) => control,
        Err(error) => {
            let _ = node.unload_modules();
            udev.close();
            node.close_disks();
            let _ = node.unmount();
            return Err(error);
        }
    };
    if let Err(error) = prepared {
        tracing::info!(
            "not prepared for a lack of memory ({error}): a file system on this node's devices may stand still then. \
             That takes CAP_SYS_RESOURCE"
        );
    }
    tracing::info!("node {} is up, root {}", args.name, dirs.root.display());
    log.is_up();

    wait_for_end(node, &stop);

    tracing::info!("node {} goes down", args.name);
    let _ = fs::remove_file(dirs.node.join(layout::RECORD));
    control.close();
    udev.close();
    node.close_disks();
    node.unmount().context("Cannot unmount the node's root")?;
    umc::umh::shutdown(kernel);
    handlers::shutdown();
    drop(hung_tasks);
    kernel.shutdown();
    let _ = fs::remove_file(&control_path);
    Ok(())
}

/// Loads the modules, opens the control socket, and writes the record by which others find the node.
fn serve(node: &'static Node, args: &Args, socket: &Path, dir: &Path) -> Result<Control> {
    load_modules(node, args)?;
    let control = Control::listen(node, socket)?;
    if let Err(error) = node.record.publish(dir) {
        control.close();
        return Err(error).context("Cannot write the node's record");
    }
    Ok(control)
}

fn load_modules(node: &Node, args: &Args) -> Result<()> {
    node.answer_module_requests();
    for module in &args.modules {
        node.modprobe(&module.name, &module.params)?;
    }
    Ok(())
}

/// Returns when the node is to end and its modules are unloaded.
fn wait_for_end(node: &Node, stop: &Stop) {
    while let Cause::Signal(number) = stop.wait() {
        tracing::info!("signal {number}");
        match node.unload_modules() {
            Ok(()) => return,
            Err(error) => tracing::error!("{error:#}"),
        }
    }
}
