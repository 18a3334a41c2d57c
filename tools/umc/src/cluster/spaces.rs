// SPDX-License-Identifier: GPL-2.0-only
//! Namespaces: each node has mounts, a network and a host name of its own, and the keeper has those that the switch is in.
//!
//! They have no names on the host. The keeper's descriptors keep them, and others reach them through its `/proc/PID/fd`;
//! they end with the keeper and the last process in them.

use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getegid, geteuid, sethostname, setsid};

use super::place::{CLUSTER, Place, Record, Spaces};
use super::plan::Plan;
use crate::redirect::{self, CannotRun};

/// The namespaces of one node, as the keeper has them.
pub struct Kept {
    mnt: File,
    net: File,
    uts: File,
    /// Its mounts at the beginning.
    pub mounts: String,
}

impl Kept {
    /// The numbers of its descriptors.
    pub fn spaces(&self) -> Spaces {
        Spaces { mnt: self.mnt.as_raw_fd(), net: self.net.as_raw_fd(), uts: self.uts.as_raw_fd() }
    }
}

/// Gives this process, which has one thread, mounts and a network of its own: as root, or as root of a user namespace.
/// Returns the descriptor of that, if there is one.
///
/// # Errors
/// The host does not allow it: the text says what is missing.
pub fn leave_host() -> Result<Option<File>> {
    let wanted = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    let user = match unshare(wanted) {
        Ok(()) => None,
        Err(Errno::EPERM) => Some(become_root_of_own(wanted)?),
        Err(error) => bail!("Cannot make namespaces: {error}.{}", limits()),
    };
    let none = None::<&str>;
    // What is mounted here is not seen outside; what the host mounts later is seen here.
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(none, "/", none, flags, none).map_err(|error| match error {
        Errno::EINVAL => anyhow::anyhow!(CHROOT),
        error => missing("mount", error),
    })?;
    Ok(user)
}

/// Who enters a namespace of mounts begins at its root.
const CHROOT: &str = "Cannot make a cluster in a chroot: its nodes would see the directories outside. Use a container, \
                      systemd-nspawn -D DIR for example, or pivot_root(8)";

fn become_root_of_own(wanted: CloneFlags) -> Result<File> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| missing("make a user namespace", error))?;
    let map = |file: &str, text: &str| {
        fs::write(format!("/proc/self/{file}"), text)
            .with_context(|| format!("Cannot map this user into a user namespace: {file}"))
    };
    map("uid_map", &format!("0 {user} 1"))?;
    map("setgroups", "deny")?;
    map("gid_map", &format!("0 {group} 1"))?;
    unshare(wanted).map_err(|error| missing("make mount and network namespaces", error))?;
    File::open("/proc/self/ns/user").context("Cannot open the user namespace")
}

fn missing(what: &str, error: Errno) -> anyhow::Error {
    anyhow::anyhow!(
        "Cannot {what}: {error}. A cluster wants root (in a container CAP_SYS_ADMIN and CAP_NET_ADMIN, for example docker run \
         --cap-add SYS_ADMIN --cap-add NET_ADMIN --device /dev/fuse), or user namespaces for everyone.{}",
        limits()
    )
}

/// Settings of the host that stand in the way: a sentence each.
pub fn limits() -> String {
    let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|is| is.trim() == value);
    [
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
        ("/proc/sys/user/max_net_namespaces", "0", "user.max_net_namespaces=10000"),
        ("/proc/sys/user/max_mnt_namespaces", "0", "user.max_mnt_namespaces=10000"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ]
    .into_iter()
    .filter(|(path, value, _)| is(path, value))
    .map(|(path, value, set)| format!(" {path} is {value}; to change it, as root: sysctl -w {set}"))
    .collect()
}

/// Makes the namespaces of a node, in which it finds the cluster's configuration, names of nodes, and directories of its own.
///
/// # Errors
/// The host does not allow it.
pub fn make(place: &Place, plan: &Plan, node: &str) -> Result<Kept> {
    let mut files = vec![(place.hosts(), PathBuf::from("/etc/hosts"))];
    if !plan.resources.is_empty() {
        files.push((place.conf(), "/etc/drbd.conf".into()));
    }
    for (at, dir) in plan.private.iter().enumerate() {
        let own = place.private(node, at);
        let cannot = || format!("Cannot make {}", own.display());
        fs::create_dir_all(&own).with_context(cannot)?;
        // As whoever uses the host's finds it.
        let mode = fs::metadata(dir).map_or(0o755, |of| of.mode() & 0o7777);
        fs::set_permissions(&own, fs::Permissions::from_mode(mode)).with_context(cannot)?;
        files.push((own, dir.clone()));
    }
    let name = node.to_owned();
    // A thread may have namespaces of its own, and what it has open stays when it ends.
    let made = std::thread::scope(|scope| {
        scope.spawn(move || enter_new(&name, &files)).join().map_err(|_| anyhow::anyhow!("a panic"))
    });
    made?.with_context(|| {
        let limits = limits();
        let next = if limits.is_empty() { "" } else { ";" };
        format!(
            "Cannot make namespaces for node {node}, which takes CAP_SYS_ADMIN and CAP_SYS_CHROOT{next}{limits}"
        )
    })
}

fn enter_new(node: &str, files: &[(PathBuf, PathBuf)]) -> Result<Kept> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS)?;
    sethostname(node).context("its host name")?;
    let none = None::<&str>;
    for (from, to) in files.iter().filter(|(_, to)| to.exists()) {
        mount(Some(from), to, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("mount {} on {}", from.display(), to.display()))?;
    }
    let open = |which: &str| {
        let path = format!("/proc/thread-self/ns/{which}");
        File::open(&path).with_context(|| format!("open {path}"))
    };
    let root = || fs::metadata("/").map(|of| (of.dev(), of.ino())).context("the root directory");
    let (mnt, before) = (open("mnt")?, root()?);
    setns(&mnt, CloneFlags::CLONE_NEWNS).context("enter its mounts")?;
    if root()? != before {
        bail!(CHROOT);
    }
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").context("its mounts")?;
    Ok(Kept { mnt, net: open("net")?, uts: open("uts")?, mounts })
}

/// A way into a node.
pub struct Way {
    /// Which cluster, and which node.
    place: Place,
    node: String,
    user: Option<File>,
    others: [(File, CloneFlags); 3],
    /// Where to be afterwards: a namespace of mounts begins at its root.
    dir: CString,
}

impl Way {
    /// The way into a node of a cluster that is up.
    ///
    /// # Errors
    /// This user may not go there.
    pub fn to(place: &Place, record: &Record, node: usize, name: &str) -> Result<Way> {
        let open = |fd: i32| {
            let path = format!("/proc/{}/fd/{fd}", record.keeper.pid);
            File::open(&path).with_context(|| {
                format!(
                    "Cannot enter node {name}: open {path}. \
                     Only root, and the user who brought the cluster up, may"
                )
            })
        };
        let spaces = record.spaces.get(node).context("a node without namespaces")?;
        let user = match record.user {
            Some(fd) if !is_mine(&open(fd)?)? => Some(open(fd)?),
            _ => None,
        };
        let dir = env::current_dir().unwrap_or_else(|_| "/".into());
        Ok(Way {
            place: place.clone(),
            node: name.to_owned(),
            user,
            others: [
                (open(spaces.net)?, CloneFlags::CLONE_NEWNET),
                (open(spaces.uts)?, CloneFlags::CLONE_NEWUTS),
                (open(spaces.mnt)?, CloneFlags::CLONE_NEWNS),
            ],
            dir: CString::new(dir.as_os_str().as_bytes()).unwrap_or_default(),
        })
    }

    /// Takes the calling process, which has one thread, there. Async-signal-safe.
    ///
    /// # Errors
    /// Those of setns(2).
    pub fn enter(&self) -> io::Result<()> {
        if let Some(user) = &self.user {
            setns(user, CloneFlags::CLONE_NEWUSER)?;
        }
        for (space, kind) in &self.others {
            setns(space, *kind)?;
        }
        if nix::unistd::chdir(self.dir.as_c_str()).is_err() {
            nix::unistd::chdir(c"/")?;
        }
        Ok(())
    }

    /// A program that runs there, and does not see the node's devices: `umc` itself, `ip`.
    pub fn program(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        redirect::leave(&mut command);
        self.dress(&mut command);
        // SAFETY: between fork and exec only setns(2) and chdir(2) are called.
        unsafe { command.pre_exec(move || self.enter()) };
        command
    }

    /// A stock program on the node.
    ///
    /// # Errors
    /// The redirector is missing.
    pub fn stock(self, words: &[impl AsRef<OsStr>]) -> Result<Command> {
        let root = self.place.node(&self.node).join(umc_protocol::node::ROOT);
        let (program, arguments) = words.split_first().context("There is no command to run.")?;
        let mut command = Command::new(program);
        command.args(arguments);
        redirect::dress(&mut command, &root)?;
        self.dress(&mut command);
        // SAFETY: between fork and exec only setns(2) and chdir(2) are called.
        unsafe { command.pre_exec(move || self.enter()) };
        Ok(command)
    }

    /// Becomes a command on the node. Returns only to fail.
    ///
    /// # Errors
    /// The node cannot be entered, or the command cannot be run.
    pub fn become_command(self, words: &[impl AsRef<OsStr>]) -> Result<Infallible> {
        let root = self.place.node(&self.node).join(umc_protocol::node::ROOT);
        let (word, arguments) = words.split_first().context("There is no command to run.")?;
        let program = redirect::program(words)?;
        let mut command = Command::new(&program);
        command.arg0(word).args(arguments);
        redirect::dress(&mut command, &root)?;
        self.dress(&mut command);
        self.enter().with_context(|| format!("Cannot enter node {}", self.node))?;
        let cause = command.exec();
        Err(CannotRun { program, cause, next: "" }.into())
    }

    /// A shell on the node for who comes by ssh: with an environment of its own, and with a command in a session of its own.
    ///
    /// # Errors
    /// The redirector is missing.
    pub fn login(self, shell: &Path, command: Option<&str>) -> Result<Command> {
        let root = self.place.node(&self.node).join(umc_protocol::node::ROOT);
        let mut login = Command::new(shell);
        login.env_clear();
        redirect::dress(&mut login, &root)?;
        self.dress(&mut login);
        // What sshd and login(1) give to root.
        let path = OsStr::new("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut path = with_umc(path).unwrap_or_else(|| path.to_owned());
        path.push(":");
        path.push(self.place.tools());
        login.env("PATH", path).env("SHELL", shell).env("USER", "root").env("LOGNAME", "root");
        for kept in ["HOME", "TERM", "LANG", "UMC_CACHE_DIR"] {
            if let Some(value) = env::var_os(kept) {
                login.env(kept, value);
            }
        }
        match command {
            Some(command) => login.arg("-c").arg(command),
            None => login.arg("-l"),
        };
        let in_session = command.is_some();
        // SAFETY: between fork and exec only sigprocmask(2), setsid(2), prctl(2), setns(2) and chdir(2) are called.
        unsafe {
            login.pre_exec(move || {
                // Who waits for it has signals blocked.
                SigSet::empty().thread_set_mask()?;
                if in_session {
                    setsid()?;
                }
                set_pdeathsig(Signal::SIGHUP)?;
                self.enter()
            });
        }
        Ok(login)
    }

    /// What every program of the cluster finds in its environment.
    fn dress(&self, command: &mut Command) {
        command.env("UMC_RUNTIME_DIR", self.place.run()).env(CLUSTER, &self.place.name);
        command.env("PATH", path_with_umc());
        // Root of a user namespace looks for root's.
        command.env("UMC_CACHE_DIR", cdrivers::cache_dir());
    }
}

/// PATH, at whose end this `umc` is found.
pub fn path_with_umc() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    with_umc(&path).unwrap_or(path)
}

/// A list of directories, and behind them that of this `umc`.
fn with_umc(path: &OsStr) -> Option<OsString> {
    let me = env::current_exe().ok();
    let dirs = env::split_paths(path).chain(me.as_deref().and_then(Path::parent).map(Into::into));
    env::join_paths(dirs).ok()
}

/// Whether a user namespace is that of this process.
fn is_mine(space: &File) -> Result<bool> {
    let its = fs::read_link(format!("/proc/self/fd/{}", space.as_raw_fd()))?;
    Ok(its == fs::read_link("/proc/self/ns/user")?)
}
