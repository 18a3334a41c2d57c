// SPDX-License-Identifier: GPL-2.0-only
//! `umc cluster up`: from a file, or a number, to nodes that replicate.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::conf;
use super::file;
use super::live::Live;
use super::place::{Lock, Place};
use super::plan::{Plan, Resource};
use super::talk::{Ask, Talk};
use crate::drbd_state::{DrbdState, field};

/// How long a step of the nodes may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Up to so many nodes of a mesh connect all at once.
const AT_ONCE_MAX: usize = 4;

/// A cluster that is up as long as this is there, or for good.
pub struct Up {
    /// It.
    pub live: Live,
    talk: Talk,
    began: Instant,
}

/// Lines about what is done, with the time since the beginning.
struct Progress {
    began: Instant,
    is_quiet: bool,
}

impl Progress {
    fn say(&self, what: &str) {
        if !self.is_quiet {
            eprintln!("[{:>5.1} s] {what}", self.began.elapsed().as_secs_f64());
        }
    }
}

impl Up {
    /// Brings a cluster up. It goes when this process ends, until [`Up::keep`].
    ///
    /// # Errors
    /// Some step failed; nothing stays but the logs, and the text says where.
    pub fn new(file: Option<file::File>, name: &str, is_quiet: bool) -> Result<Up> {
        #[allow(clippy::disallowed_methods, reason = "no node's time")]
        let progress = Progress { began: Instant::now(), is_quiet };
        let place = Place::new(name)?;
        let lock = place.lock()?;
        let is_kept = place.is_kept();
        let prepared = prepare(&place, file, is_kept);
        let plan = match prepared {
            Ok(plan) => plan,
            Err(error) => {
                if !is_kept {
                    let _ = fs::remove_dir_all(&place.dir);
                    lock.remove();
                }
                return Err(error);
            }
        };
        progress.say(&format!("cluster {name}: {}", plan.shape()));
        let talk = start_keeper(&place, &lock)?;
        talk.answer()?;
        // The keeper has it, and the sweeper: it is free when nothing of the cluster is left.
        drop(lock);
        progress.say("networks are there");
        let live = Live::at(place)?;
        // Links are whole until then: what they are to be like is for what comes behind this.
        let brought =
            bring_up(&live, is_kept, &progress).and_then(|()| spoil(&live, &talk, &progress));
        match brought {
            Ok(()) => Ok(Up { live, talk, began: progress.began }),
            Err(error) => {
                let logs =
                    std::env::temp_dir().join(format!("umc-{name}-logs-{}", std::process::id()));
                let saved = super::logs::save(&live, &logs);
                match saved {
                    Ok(()) => Err(error.context(format!(
                        "Cluster {name} did not come up. Logs of its nodes are in {}",
                        logs.display()
                    ))),
                    Err(_) => Err(error),
                }
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
        let first = &plan.resources[0];
        let (name, minor) = (&first.name, first.minor(0));
        let head = format!(
            "Cluster {} is up after {:.1} s: {}; {what}.\n\n",
            live.place.name,
            self.began.elapsed().as_secs_f64(),
            plan.shape(),
        );
        let next = [
            ("umc cluster status".to_owned(), "the whole of it in one table"),
            (format!("umc cluster shell {a}"), "a shell on a node"),
            (format!("umc cluster exec {a} -- drbdadm primary {name}"), "then write to it:"),
            (
                format!(
                    "umc cluster exec {a} -- sh -c 'echo hello | dd of=/dev/drbd{minor} bs=4k conv=sync'"
                ),
                "",
            ),
            (format!("umc cluster exec {a} -- drbdadm secondary {name}"), "and read it elsewhere:"),
            (
                format!(
                    "umc cluster exec {b} -- sh -c 'drbdadm primary {name}; head -n 1 /dev/drbd{minor}'"
                ),
                "",
            ),
            (format!("umc cluster link cut {a} {b}"), "also slow, lossy, and heal"),
            (format!("umc cluster kill {b}; umc cluster start {b}"), "a crash, and the return"),
            ("umc cluster down".to_owned(), "the end; with --keep the disks stay"),
        ];
        let line = |(command, what): &(String, &str)| format!("  {command:<48} {what}");
        let lines = next.iter().map(|next| format!("{}\n", line(next).trim_end()));
        head + &lines.collect::<String>()
    }
}

/// `umc cluster up`.
///
/// # Errors
/// As [`Up::new`].
pub fn up(what: Option<&str>, name: Option<&str>, driver: Option<String>) -> Result<()> {
    let file = what.is_some() || driver.is_some();
    let mut of_file = file::File::of(what)?;
    if driver.is_some() {
        of_file.driver = driver;
    }
    let name = Place::name_for_new(name, of_file.name.as_deref());
    let is_kept = !file && Place::new(&name)?.is_kept();
    let up = Up::new((!is_kept).then_some(of_file), &name, false)?;
    up.keep()?;
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    print!("{}", up.summary());
    Ok(())
}

/// The plan, written down with what belongs to it.
fn prepare(place: &Place, file: Option<file::File>, is_kept: bool) -> Result<Plan> {
    let plan = match (is_kept, file) {
        (true, None) => place.plan()?,
        (true, Some(_)) => bail!(
            "Cluster {0} has disks that were kept. Bring it up as it was: umc cluster up --name {0}; \
             or remove them: umc cluster down --name {0}",
            place.name
        ),
        (false, file) => {
            if place.dir.exists() {
                // Nobody has it, and it is not to be kept: what a sweeper that was killed left.
                fs::remove_dir_all(&place.dir)
                    .with_context(|| format!("Cannot remove {}", place.dir.display()))?;
            }
            Plan::of(file.unwrap_or_default())?
        }
    };
    for dir in [&place.dir, &place.disks(), &place.run()] {
        fs::create_dir_all(dir).with_context(|| format!("Cannot make {}", dir.display()))?;
    }
    if !is_kept {
        let write = |path: &std::path::Path, text: String| {
            fs::write(path, text).with_context(|| format!("Cannot write {}", path.display()))
        };
        write(&place.conf(), conf::text(&plan))?;
        write(&place.hosts(), conf::hosts(&plan))?;
        make_images(place, &plan)?;
        place.keep_plan(&plan)?;
    }
    Ok(plan)
}

fn image(place: &Place, node: &str, disk: &str) -> std::path::PathBuf {
    place.disks().join(format!("{node}-{disk}.img"))
}

fn make_images(place: &Place, plan: &Plan) -> Result<()> {
    for (at, node) in plan.nodes.iter().enumerate() {
        let Some(disk) = node.disk.as_ref().filter(|disk| disk.config.contains("{image}")) else {
            continue;
        };
        for resource in plan.resources_of(at) {
            for volume in 0..plan.volumes {
                let path = image(place, &node.name, &resource.lower(volume));
                let make = || File::create(&path)?.set_len(disk.size);
                make().with_context(|| format!("Cannot make {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Starts the keeper: the connection that the cluster depends on.
fn start_keeper(place: &Place, lock: &Lock) -> Result<Talk> {
    let me = std::env::current_exe().context("Cannot find out where umc itself is")?;
    let log = File::create(place.log())
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

fn bring_up(live: &Live, is_kept: bool, progress: &Progress) -> Result<()> {
    let all = || 0..live.plan.nodes.len();
    live.each(all(), |node| start_node(live, node))?;
    progress.say("nodes run");
    if !is_kept {
        live.each(all(), |node| create_metadata(live, node))?;
        progress.say("disks have metadata");
    }
    if live.plan.is_nine && live.plan.nodes.len() > AT_ONCE_MAX {
        // Each connection is a change that all have to agree on, and of many at once each holds the others up.
        all().try_for_each(|node| join(live, node))?;
    } else {
        live.each(all(), |node| live.adm(node, &["up", "all"]).map(drop))?;
    }
    live.each(all(), |node| await_connected(live, node))?;
    progress.say("all are connected");
    if is_kept {
        return Ok(());
    }
    for resource in &live.plan.resources {
        declare_in_sync(live, resource)?;
    }
    live.each(all(), |node| {
        live.await_drbd(node, PATIENCE, "disks that are UpToDate", is_in_sync)
    })?;
    progress.say("all disks are UpToDate");
    Ok(())
}

/// Starts a node with the disks that it has.
///
/// # Errors
/// It does not come up.
pub fn start_node(live: &Live, node: usize) -> Result<()> {
    let of = &live.plan.nodes[node];
    let mut words: Vec<String> =
        ["start", &of.name, "--modprobe", &of.driver].map(str::to_owned).to_vec();
    let mut tables = Vec::new();
    for resource in live.plan.resources_of(node) {
        for volume in 0..live.plan.volumes {
            let Some(disk) = &of.disk else { continue };
            let lower = resource.lower(volume);
            let image = image(&live.place, &of.name, &lower);
            let config = disk.config.replace("{image}", &image.display().to_string());
            let size = match disk.config.contains("{image}") && disk.handler == "file" {
                true => String::new(),
                false => format!(",size={}", disk.size),
            };
            words.extend(["--disk".into(), format!("{lower}={}/{config}{size}", disk.handler)]);
            if let Some(table) = &disk.table {
                let table = table
                    .replace("{disk}", &format!("/dev/{lower}"))
                    .replace("{sectors}", &(disk.size / 512).to_string());
                tables.push((conf::above(resource, volume), table));
            }
        }
    }
    if !tables.is_empty() {
        super::driver::build("dm-mod")?;
        words.extend(["--modprobe".into(), "dm-mod".into()]);
    }
    live.umc(node, &words).with_context(|| format!("Cannot start node {}", of.name))?;
    for (name, table) in &tables {
        live.on(node, &["dmsetup", "create", name, "--table", table])
            .context("Cannot make the device of disk.table")?;
    }
    Ok(())
}

fn create_metadata(live: &Live, node: usize) -> Result<()> {
    if live.plan.nodes[node].disk.is_none() {
        return Ok(());
    }
    live.adm(node, &["create-md", "--force", "all"]).map(drop)
}

/// What `drbdadm up` does, but for connections, which come about one after the other.
fn join(live: &Live, node: usize) -> Result<()> {
    for resource in live.plan.resources_of(node) {
        let name = resource.name.as_str();
        let has_disk = live.plan.nodes[node].disk.is_some();
        for verb in
            ["new-resource", "new-minor", "new-peer", "new-path", "peer-device-options", "attach"]
        {
            if verb != "attach" || has_disk {
                live.adm(node, &[verb, name])?;
            }
        }
        for peer in resource.nodes.iter().filter(|peer| **peer != node) {
            let number = peer.to_string();
            check_sockets_for(live, node, name, &number, 1)?;
            live.on(node, &["drbdsetup", "connect", name, &number])?;
            if *peer < node {
                let patience = format!("--wfc-timeout={}", PATIENCE.as_secs());
                let wait = ["drbdsetup", "wait-connect-connection", &patience, name, &number];
                live.on(node, &wait)?;
                check_sockets_for(live, node, name, &number, 0)?;
                check_sockets_for(live, *peer, name, &node.to_string(), 0)?;
            }
        }
    }
    Ok(())
}

/// How many tenths of a second the two sockets of a new connection are watched before it counts; 0 is `ping-timeout`, half a
/// second, as long as which all others wait too.
fn check_sockets_for(live: &Live, node: usize, name: &str, peer: &str, tenths: u8) -> Result<()> {
    let option = format!("--socket-check-timeout={tenths}");
    live.on(node, &["drbdsetup", "net-options", name, peer, &option]).map(drop)
}

/// Waits until a node is connected with all that run.
///
/// # Errors
/// It does not come to that.
pub fn await_connected(live: &Live, node: usize) -> Result<()> {
    let peers = |resource: &Resource| {
        resource.nodes.iter().filter(|peer| **peer != node && live.node(**peer).is_some()).count()
    };
    let wanted: Vec<(String, usize)> = live
        .plan
        .resources_of(node)
        .map(|resource| (resource.name.clone(), peers(resource)))
        .collect();
    live.await_drbd(node, PATIENCE, "its connections", |state| {
        wanted.iter().all(|(name, peers)| {
            let connected = state
                .connections_of(name)
                .filter(|(_, fields)| field(fields, "connection") == "Connected");
            connected.count() >= *peers
        })
    })
}

/// Disks are all zeroes: they are in sync without a copy.
fn declare_in_sync(live: &Live, resource: &Resource) -> Result<()> {
    let has_disk = |node: &&usize| live.plan.nodes[**node].disk.is_some();
    let first = *resource.nodes.iter().find(has_disk).context("a resource without a disk")?;
    for volume in 0..live.plan.volumes {
        let device = format!("{}/{volume}", resource.name);
        live.adm(first, &["new-current-uuid", "--clear-bitmap", &device])?;
    }
    Ok(())
}

fn is_in_sync(state: &DrbdState) -> bool {
    let is_fine = |disk: &str| ["UpToDate", "Diskless"].contains(&disk);
    state.devices.values().all(|fields| is_fine(field(fields, "disk")))
        && state.peer_devices.values().all(|fields| is_fine(field(fields, "peer-disk")))
}
