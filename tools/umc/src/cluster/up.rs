// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster up`: from a file, or a number, to nodes that replicate.

use std::fs;
use std::io::IsTerminal;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::bring_up::{bring_up, make_images};
use super::down::Sweeper;
use super::file::File;
use super::live::Live;
use super::place::{Lock, Place};
use super::plan::Plan;
use super::progress::Progress;
use super::talk::{Ask, Talk};
use super::{conf, logs, place};

/// Programs that `umc` acts as, also on a host that has none of that name.
const TOOLS: [&str; 6] = ["modprobe", "insmod", "rmmod", "lsmod", "modinfo", "journalctl"];

/// A cluster that is up as long as this is there, or for good.
pub struct Up {
    /// It.
    pub live: Live,
    talk: Talk,
    began: Instant,
}

impl Up {
    /// Brings a cluster up: a new one, or without a plan one whose disks were kept. It goes when this process ends, until
    /// [`Up::keep`].
    ///
    /// # Errors
    /// Some step failed; nothing stays but the logs, and the text says where.
    pub fn new(plan: Option<Plan>, name: &str) -> Result<Up> {
        let progress = Progress::begin();
        let place = Place::new(name)?;
        let lock = place.lock()?;
        let is_kept = place.is_kept();
        let begun = prepare(&place, plan, is_kept)
            .and_then(|plan| Ok((start_keeper(&place, &lock)?, plan)));
        let (talk, plan) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                // There is no sweeper yet.
                if !is_kept {
                    let _ = fs::remove_dir_all(&place.dir);
                }
                lock.remove();
                return Err(error);
            }
        };
        progress.say(&format!("cluster {name}: {}", plan.shape()));
        talk.answer()?;
        // The keeper has it, and the sweeper: it is free when nothing of the cluster is left.
        drop(lock);
        progress.say("networks are there");
        let live = Live::at(place)?;
        let brought =
            bring_up(&live, is_kept, &progress).and_then(|()| spoil(&live, &talk, &progress));
        match brought {
            Ok(()) => Ok(Up { live, talk, began: progress.began() }),
            Err(error) => {
                let error = error.context(saved_logs(&live));
                // Without the connection the cluster ends.
                let sweeper = Sweeper::of(&live)?;
                drop(talk);
                sweeper.await_end(&live)?;
                Err(error)
            }
        }
    }

    /// From now on the cluster stays.
    ///
    /// # Errors
    /// The keeper is gone.
    pub fn keep(&self) -> Result<()> {
        self.talk.ask(&Ask::Keep).map(drop)
    }

    /// What to type next.
    pub fn summary(&self) -> String {
        let (live, plan) = (&self.live, &self.live.plan);
        let (a, b) = (live.name(0), live.name(1));
        let what = match plan.resources.as_slice() {
            [one] => format!("resource {} is /dev/drbd{}", one.name, one.minor(0)),
            several => {
                let each = several.iter().map(|resource| {
                    let names: Vec<_> = resource.nodes.iter().map(|n| live.name(*n)).collect();
                    format!(
                        "{} of {} is /dev/drbd{}",
                        resource.name,
                        names.join(" and "),
                        resource.minor(0)
                    )
                });
                format!("resource {}", each.collect::<Vec<_>>().join(", "))
            }
        };
        let Some(first) = plan.resources.first() else { return self.summary_of_bare() };
        let (name, minor) = (&first.name, first.minor(0));
        let head = format!(
            "Cluster {} is up after {:.1} s: {}; {what}.\n\n",
            live.place.name,
            self.began.elapsed().as_secs_f64(),
            plan.shape(),
        );
        let umc = self.umc();
        let next = [
            (format!("{umc} status"), "the whole of it in one table"),
            (format!("{umc} shell {a}"), "a shell on a node"),
            (format!("{umc} exec {a} -- drbdadm primary {name}"), "then write to it:"),
            (
                format!(
                    "{umc} exec {a} -- sh -c 'echo hello | dd of=/dev/drbd{minor} bs=4k conv=sync'"
                ),
                "",
            ),
            (format!("{umc} exec {a} -- drbdadm secondary {name}"), "and read it elsewhere:"),
            (
                format!(
                    "{umc} exec {b} -- sh -c 'drbdadm primary {name}; head -n 1 /dev/drbd{minor}'"
                ),
                "",
            ),
            (format!("{umc} link cut {a} {b}"), "also slow, lossy, and heal"),
            (format!("{umc} kill {b}; {umc} start {b}"), "a crash, and the return"),
            ("umc top".to_owned(), "a live picture"),
            (format!("{umc} down"), "the end; with --keep the disks stay"),
        ];
        let line = |(command, what): &(String, &str)| format!("  {command:<48} {what}");
        let lines = next.iter().map(|next| format!("{}\n", line(next).trim_end()));
        head + &lines.collect::<String>()
    }
}

impl Up {
    /// How commands of this cluster begin: the only one is meant by every command.
    fn umc(&self) -> String {
        match place::all().is_ok_and(|all| all.len() == 1) {
            true => "umc cluster".to_owned(),
            false => format!("umc cluster --name {}", self.live.place.name),
        }
    }

    /// What to type next where nothing is configured.
    fn summary_of_bare(&self) -> String {
        let (live, umc) = (&self.live, self.umc());
        let disks: Vec<_> = live.plan.lowers_of(0).iter().map(|d| format!("/dev/{d}")).collect();
        let a = live.name(0);
        format!(
            "Cluster {} is up after {:.1} s: {}; nothing is configured, and each node has {}.\n\n  \
             {umc} shell {a}\n  {umc} ssh-shim DIR; export PATH=DIR:$PATH; ssh {a} lsmod\n  {umc} down\n",
            live.place.name,
            self.began.elapsed().as_secs_f64(),
            live.plan.shape(),
            disks.join(", ")
        )
    }
}

/// What is said of a cluster that did not come up, with its logs in a folder of their own.
fn saved_logs(live: &Live) -> String {
    let name = &live.place.name;
    let folder = std::env::temp_dir().join(format!("umc-{name}-logs-{}", std::process::id()));
    match logs::save(live, &folder) {
        Ok(()) => {
            let folder = folder.display();
            format!("Cluster {name} did not come up. Logs of its nodes are in {folder}")
        }
        Err(error) => format!("Cluster {name} did not come up. {error:#}"),
    }
}

/// `umc cluster up`.
///
/// # Errors
/// As [`Up::new`].
pub fn up(what: Option<&str>, name: Option<&str>, driver: Option<String>) -> Result<()> {
    let is_asked_for = what.is_some() || driver.is_some();
    let mut file = File::of(what)?;
    file.driver = driver.or(file.driver);
    let name = Place::name_for_new(name, file.name.as_deref());
    let place = Place::new(&name)?;
    let plan = match (place.is_kept(), is_asked_for) {
        (true, false) => None,
        (true, true) => bail!(
            "Cluster {name} has disks that were kept. Bring it up as it was: umc cluster up --name {name}; \
             or remove them: umc cluster down --name {name}"
        ),
        // Before anything is locked or made: a driver may have to be built.
        (false, _) => Some(Plan::of(file)?),
    };
    let up = Up::new(plan, &name)?;
    up.keep()?;
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    print!("{}", up.summary());
    Ok(())
}

/// A path without links in it, as far as it is there.
fn real(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    }
}

/// The plan, written down with what belongs to it.
fn prepare(place: &Place, plan: Option<Plan>, is_kept: bool) -> Result<Plan> {
    let plan = match (is_kept, plan) {
        (true, None) => return place.plan(),
        (false, Some(plan)) => plan,
        // Somebody was faster.
        _ => bail!("Cluster {} was kept or removed just now. Try again", place.name),
    };
    if place.dir.exists() {
        // Nobody has it, and it is not to be kept: what a sweeper that was killed left.
        fs::remove_dir_all(&place.dir)
            .with_context(|| format!("Cannot remove {}", place.dir.display()))?;
    }
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    for (needed, what, next) in [
        (&place.dir, "clusters are kept", "Set UMC_RUNTIME_DIR to a directory elsewhere"),
        (&me, "umc itself is", "Install it elsewhere"),
        (&cdrivers::cache_dir(), "drivers are kept", "Set UMC_CACHE_DIR to a directory elsewhere"),
    ] {
        let needed = real(needed);
        if let Some(dir) = plan.private.iter().find(|dir| needed.starts_with(real(dir))) {
            bail!(
                "private: nodes need what is in {}, since {what} there: {}. {next}",
                dir.display(),
                needed.display()
            );
        }
    }
    // What is on its disks is nobody else's to read.
    let mut private = fs::DirBuilder::new();
    private.mode(0o700);
    for dir in [&place.dir, &place.disks(), &place.run()] {
        private.create(dir).with_context(|| format!("Cannot make {}", dir.display()))?;
    }
    let write = |path: &Path, text: String| {
        fs::write(path, text).with_context(|| format!("Cannot write {}", path.display()))
    };
    write(&place.conf(), conf::text(&plan))?;
    write(&place.hosts(), conf::hosts(&plan))?;
    make_images(place, &plan)?;
    fs::create_dir(place.tools())
        .and_then(|()| TOOLS.iter().try_for_each(|tool| symlink(&me, place.tools().join(tool))))
        .with_context(|| format!("Cannot make {}", place.tools().display()))?;
    place.keep_plan(&plan)?;
    Ok(plan)
}

/// Starts the keeper: the connection that the cluster depends on.
fn start_keeper(place: &Place, lock: &Lock) -> Result<Talk> {
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let log = fs::File::create(place.log())
        .with_context(|| format!("Cannot write {}", place.log().display()))?;
    let (ours, its) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .context("Cannot make a pair of sockets")?;
    let mut command = Command::new(me);
    command.args(["cluster", "keep"]).arg(&place.dir);
    command.stdin(its).stdout(Stdio::null()).stderr(log);
    fcntl(&lock.file, FcntlArg::F_SETFD(FdFlag::empty())).context("Cannot hand the lock on")?;
    crate::redirect::leave(&mut command);
    command.spawn().context("Cannot start the keeper of the cluster")?;
    Talk::over(ours)
}

/// Links that the plan has otherwise are not whole any more.
fn spoil(live: &Live, talk: &Talk, progress: &Progress) -> Result<()> {
    for link in &live.plan.links {
        talk.ask(&Ask::Link { between: link.between, quality: link.quality })?;
        let (a, b) = (live.name(link.between.0), live.name(link.between.1));
        progress.say(&format!("{a} -- {b}: {}", link.quality));
    }
    Ok(())
}
