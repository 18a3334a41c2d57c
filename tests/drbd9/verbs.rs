// SPDX-License-Identifier: GPL-2.0-only
//! Every verb of `drbdadm`, by its effect with DRBD 9.
//!
//! As in `tests/verbs`, which does it for 8.4: a theme is a mesh of two nodes and a table of steps that run on it in order.
//! A step names the verbs it is about and has to run them; together they are those that `drbdadm` lists in its own help
//! ([`nothing_is_left_out`]). What DRBD 9 has of its own the other files test in depth.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;
use std::sync::Mutex;

use cluster::{Mesh, MeshLayout, eventually, text};

use crate::{peer, read, role, shown, write};

/// What the steps work with.
struct Bench {
    mesh: Mesh,
    ran: Mutex<BTreeSet<String>>,
}

/// A row of a theme's table.
struct Step {
    verbs: &'static [&'static str],
    run: fn(&Bench),
}

impl Bench {
    /// `drbdadm VERB …`, whatever becomes of it.
    fn try_adm(&self, index: usize, args: &[&str]) -> Output {
        let verb = args.iter().find(|word| !word.starts_with('-')).expect("a verb");
        self.ran.lock().expect("no step panicked").insert((*verb).to_owned());
        self.mesh.cluster.try_adm(self.mesh.node(index), args)
    }

    /// `drbdadm VERB …`, which has to succeed: what it prints.
    fn adm(&self, index: usize, args: &[&str]) -> String {
        let output = self.try_adm(index, args);
        assert!(output.status.success(), "{index}: drbdadm {}: {}", args.join(" "), text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The same on both nodes.
    fn both(&self, args: &[&str]) {
        (0..2).for_each(|index| drop(self.adm(index, args)));
    }

    /// Runs a verb that has to be refused with these words.
    fn refused(&self, index: usize, args: &[&str], says: &str) {
        let output = self.try_adm(index, args);
        assert!(!output.status.success(), "drbdadm {}: {}", args.join(" "), text(&output));
        has(&text(&output), says);
    }

    fn events(&self, index: usize) -> String {
        shown(&self.mesh, index, &["drbdsetup", "events2", "--now"])
    }

    fn show(&self, index: usize) -> String {
        shown(&self.mesh, index, &["drbdsetup", "show", "r0"])
    }

    /// The state of a connection, and of the replication over it.
    fn awaits(&self, index: usize, key: &str, state: &str) {
        eventually(&format!("{key} is {state}"), || {
            let peer = peer(&self.mesh, index, 1 - index);
            peer[key] == state || peer["peer_devices"][0][key] == state
        });
    }

    /// Runs a verb that begins a copy to the second node, and waits until it is done.
    fn copies(&self, run: impl FnOnce()) {
        let mut watch = self.mesh.cluster.watch(self.mesh.node(1), &["r0"]);
        run();
        watch.until("replication:SyncTarget");
        watch.until("replication:Established");
        self.mesh.await_up_to_date();
    }
}

/// The text holds the part, or the test ends with both.
#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "no \"{part}\" in:\n{text}");
}

/// Runs the steps of a theme.
fn theme(mesh: Option<Mesh>, steps: &[Step]) {
    let Some(mesh) = mesh else { return };
    let bench = Bench { mesh, ran: Mutex::default() };
    for step in steps {
        (step.run)(&bench);
        let ran = bench.ran.lock().expect("no step panicked");
        for verb in step.verbs {
            assert!(ran.contains(*verb), "the step did not run {verb}");
        }
    }
}

fn two() -> MeshLayout {
    MeshLayout { nodes: 2, net: "verify-alg crc32c;".into(), ..MeshLayout::default() }
}

const BY_HAND: &[Step] = &[
    Step { verbs: &["create-md", "dump-md"], run: create_md },
    Step { verbs: &["new-resource", "new-minor"], run: new_resource },
    Step { verbs: &["new-peer", "new-path"], run: new_peer },
    Step { verbs: &["attach", "connect", "wait-connect"], run: attach_and_connect },
    Step { verbs: &["new-current-uuid", "wait-sync"], run: new_current_uuid },
    Step { verbs: &["primary", "secondary"], run: primary },
    Step { verbs: &["disconnect", "del-path", "del-peer"], run: del_peer },
    Step { verbs: &["detach", "del-minor", "down"], run: del_minor },
    Step { verbs: &["up", "wait-con-int"], run: up },
];

#[test]
fn a_resource_by_hand() {
    theme(Mesh::new("hand9", two()), BY_HAND);
}

fn create_md(bench: &Bench) {
    bench.both(&["create-md", "--force", "r0"]);
    let dump = bench.adm(0, &["dump-md", "r0"]);
    has(&dump, "version \"v09\";");
    has(&dump, "la-size-sect 0;");
}

fn new_resource(bench: &Bench) {
    bench.both(&["new-resource", "r0"]);
    bench.both(&["new-minor", "r0"]);
    for index in 0..2 {
        has(&bench.events(index), "exists resource name:r0 role:Secondary");
        has(&bench.events(index), "volume:0 minor:0 backing_dev:none disk:Diskless");
        assert!(bench.mesh.cluster.device(bench.mesh.node(index), 0).exists());
    }
}

fn new_peer(bench: &Bench) {
    bench.both(&["new-peer", "r0"]);
    has(&bench.events(0), "conn-name:hand9-2 connection:StandAlone");
    assert!(!bench.events(0).contains("exists path"));
    bench.both(&["new-path", "r0"]);
    has(&bench.events(0), "exists path");
}

fn attach_and_connect(bench: &Bench) {
    bench.both(&["attach", "r0"]);
    has(&bench.events(0), "disk:Inconsistent");
    bench.both(&["connect", "r0"]);
    bench.both(&["wait-connect", "r0"]);
    bench.awaits(0, "connection-state", "Connected");
}

fn new_current_uuid(bench: &Bench) {
    bench.adm(0, &["new-current-uuid", "--clear-bitmap", "r0/0"]);
    bench.mesh.await_up_to_date();
    bench.both(&["wait-sync", "r0"]);
}

fn primary(bench: &Bench) {
    bench.adm(0, &["primary", "r0"]);
    eventually("the peer knows", || peer(&bench.mesh, 1, 0)["peer-role"] == "Primary");
    bench.refused(1, &["primary", "r0"], "Multiple primaries not allowed by config");
    bench.adm(0, &["secondary", "r0"]);
    assert_eq!(role(&bench.mesh, 0), "Secondary");
}

fn del_peer(bench: &Bench) {
    // What is connected keeps its last path, and its peer.
    assert!(!bench.try_adm(0, &["del-path", "r0"]).status.success());
    bench.both(&["disconnect", "r0"]);
    bench.awaits(0, "connection-state", "StandAlone");
    bench.both(&["del-path", "r0"]);
    assert!(!bench.events(0).contains("exists path"));
    bench.both(&["del-peer", "r0"]);
    assert!(peer(&bench.mesh, 0, 1).is_null());
}

fn del_minor(bench: &Bench) {
    bench.both(&["detach", "r0"]);
    has(&bench.events(0), "disk:Diskless");
    bench.both(&["del-minor", "r0"]);
    assert!(!bench.mesh.cluster.device(bench.mesh.node(0), 0).exists());
    has(&bench.events(0), "name:r0");
    bench.both(&["down", "r0"]);
    assert!(!bench.events(0).contains("name:r0"));
}

fn up(bench: &Bench) {
    bench.adm(0, &["up", "r0"]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| bench.try_adm(0, &["wait-con-int"]));
        bench.adm(1, &["up", "r0"]);
        assert!(waits.join().expect("it ran").status.success());
    });
    bench.mesh.await_up_to_date();
    write(&bench.mesh, 0, 0, 1).expect("a write");
    assert_eq!(read(&bench.mesh, 1, 0), [1; 4096]);
}

const DATA: &[Step] = &[
    Step { verbs: &["verify"], run: verify },
    Step { verbs: &["invalidate", "invalidate-remote"], run: invalidate },
    Step { verbs: &["pause-sync", "resume-sync"], run: pause },
    Step { verbs: &["suspend-io", "resume-io"], run: suspend },
    Step { verbs: &["outdate"], run: outdate },
    Step { verbs: &["resize"], run: resize },
    Step { verbs: &["apply-al", "check-resize", "dump-md", "wipe-md"], run: metadata },
    Step { verbs: &["set-gi", "forget-peer"], run: generations },
];

#[test]
fn data_and_metadata() {
    theme(Mesh::in_sync("data9", two()), DATA);
}

fn verify(bench: &Bench) {
    let mut watch = bench.mesh.cluster.watch(bench.mesh.node(0), &["r0"]);
    bench.adm(0, &["verify", "r0"]);
    watch.until("replication:VerifyS");
    watch.until("replication:Established");
}

fn invalidate(bench: &Bench) {
    bench.copies(|| drop(bench.adm(1, &["invalidate", "r0"])));
    bench.copies(|| drop(bench.adm(0, &["invalidate-remote", "r0"])));
}

fn pause(bench: &Bench) {
    bench.adm(0, &["pause-sync", "r0"]);
    bench.adm(1, &["invalidate", "r0"]);
    bench.awaits(0, "replication-state", "PausedSyncS");
    bench.awaits(1, "replication-state", "PausedSyncT");
    has(&bench.events(0), "resync-suspended:user");
    bench.adm(0, &["resume-sync", "r0"]);
    bench.mesh.await_up_to_date();
    has(&bench.events(0), "resync-suspended:no");
}

fn suspend(bench: &Bench) {
    bench.adm(0, &["suspend-io", "r0"]);
    has(&bench.events(0), "suspended:user");
    bench.adm(0, &["resume-io", "r0"]);
    assert!(!bench.events(0).contains("suspended:user"));
}

/// It is a matter of the metadata, while nothing uses it.
fn outdate(bench: &Bench) {
    bench.refused(1, &["outdate", "r0"], "is configured");
    bench.adm(1, &["down", "r0"]);
    bench.adm(1, &["apply-al", "r0"]);
    bench.adm(1, &["outdate", "r0"]);
    // So that it has something to copy: without, its peer at times goes on to show it Outdated.
    write(&bench.mesh, 0, 4096, 2).expect("a write");
    // Without its peer it is what it was told to be.
    bench.adm(1, &["new-resource", "r0"]);
    bench.adm(1, &["new-minor", "r0"]);
    bench.adm(1, &["attach", "r0"]);
    has(&bench.events(1), "disk:Outdated");
    bench.refused(1, &["primary", "r0"], "Need access to UpToDate data");
    bench.adm(1, &["down", "r0"]);
    bench.adm(1, &["up", "r0"]);
    bench.mesh.await_up_to_date();
}

fn resize(bench: &Bench) {
    let size = |index: usize| {
        let size = shown(&bench.mesh, index, &["blockdev", "--getsize64", "/dev/drbd0"]);
        size.trim().parse::<u64>().expect("a size")
    };
    let before = size(0);
    for node in &bench.mesh.cluster.nodes {
        let image = fs::File::options().write(true).open(bench.mesh.cluster.image(node, 0));
        image.and_then(|image| image.set_len(40 << 20)).expect("a longer image");
        bench.mesh.cluster.umc_ok(&["disk", "resize", "-n", node, "low0"]);
    }
    bench.adm(0, &["resize", "r0"]);
    for index in 0..2 {
        eventually("it has grown", || size(index) > before + (15 << 20));
    }
    bench.mesh.await_up_to_date();
}

/// The activity log is applied after a kill; nobody is there to confirm that the metadata is wiped.
fn metadata(bench: &Bench) {
    let node = bench.mesh.node(0);
    bench.adm(0, &["primary", "r0"]);
    write(&bench.mesh, 0, 8192, 7).expect("a write");
    bench.mesh.cluster.kill(node);
    bench.mesh.start(0);
    has(&text(&bench.try_adm(0, &["dump-md", "r0"])), "please apply-al first");
    bench.adm(0, &["apply-al", "r0"]);
    bench.adm(0, &["check-resize", "r0"]);
    has(&bench.adm(0, &["dump-md", "r0"]), "current-uuid");
    has(&text(&bench.try_adm(0, &["wipe-md", "r0"])), "Do you really want to wipe out");
    has(&bench.adm(0, &["dump-md", "r0"]), "current-uuid");
}

fn generations(bench: &Bench) {
    let dump = |bench: &Bench| bench.adm(0, &["dump-md", "r0"]);
    let before = dump(bench);
    // Nothing is given to set.
    bench.try_adm(0, &["set-gi", "r0/0"]);
    let uuids = |dump: &str| -> Vec<String> {
        dump.lines().filter(|line| line.contains("uuid")).map(str::to_owned).collect()
    };
    assert_eq!(uuids(&dump(bench)), uuids(&before));
    bench.adm(0, &["up", "r0"]);
    bench.mesh.await_up_to_date();
    // A peer that is configured is not forgotten.
    bench.refused(0, &["forget-peer", "r0"], "");
    bench.mesh.await_up_to_date();
}

const OPTIONS: &[Step] = &[
    Step { verbs: &["disk-options"], run: disk_options },
    Step { verbs: &["net-options", "peer-device-options"], run: net_options },
    Step { verbs: &["resource-options"], run: resource_options },
    Step { verbs: &["adjust", "adjust-with-progress"], run: adjust },
];

#[test]
fn options_at_run_time() {
    theme(Mesh::in_sync("options9", two()), OPTIONS);
}

/// Whether `drbdsetup show` has an option with this value.
fn is_set(bench: &Bench, index: usize, name: &str, value: &str) -> bool {
    let is_it = |line: &str| {
        let words = line.split(';').next().unwrap_or_default().split_whitespace();
        words.eq([name, value])
    };
    bench.show(index).lines().any(is_it)
}

fn disk_options(bench: &Bench) {
    bench.adm(0, &["disk-options", "--al-extents=257", "r0"]);
    assert!(is_set(bench, 0, "al-extents", "257") && !is_set(bench, 1, "al-extents", "257"));
}

fn net_options(bench: &Bench) {
    bench.adm(0, &["net-options", "--max-buffers=5001", "r0"]);
    assert!(is_set(bench, 0, "max-buffers", "5001"));
    bench.adm(0, &["peer-device-options", "--c-max-rate=8M", "r0"]);
    assert!(is_set(bench, 0, "c-max-rate", "8192k"));
    bench.mesh.await_up_to_date();
}

fn resource_options(bench: &Bench) {
    bench.adm(0, &["resource-options", "--on-no-data-accessible=suspend-io", "r0"]);
    assert!(is_set(bench, 0, "on-no-data-accessible", "suspend-io"));
}

/// Options that were set by hand go, and what was taken down comes back.
fn adjust(bench: &Bench) {
    bench.adm(0, &["adjust", "r0"]);
    assert!(!is_set(bench, 0, "max-buffers", "5001") && !is_set(bench, 0, "al-extents", "257"));
    bench.adm(1, &["disconnect", "r0"]);
    bench.adm(1, &["adjust-with-progress", "r0"]);
    bench.mesh.await_up_to_date();
    bench.adm(1, &["down", "r0"]);
    bench.adm(1, &["adjust-with-progress", "r0"]);
    bench.mesh.await_up_to_date();
}

const TEXTS: &[Step] = &[
    Step { verbs: &["role", "cstate", "dstate", "status"], run: words },
    Step { verbs: &["get-gi", "show-gi"], run: identifiers },
    Step { verbs: &["dump", "dump-xml", "hidden-commands"], run: dump },
    Step { verbs: FOR_SCRIPTS, run: for_scripts },
    Step { verbs: &["proxy-up", "proxy-down"], run: no_proxy },
    Step { verbs: HANDLERS, run: handlers },
];

#[test]
fn texts_for_people_and_scripts() {
    theme(Mesh::in_sync("texts9", two()), TEXTS);
}

fn words(bench: &Bench) {
    bench.adm(0, &["primary", "r0"]);
    eventually("the peer knows", || peer(&bench.mesh, 1, 0)["peer-role"] == "Primary");
    assert_eq!(bench.adm(0, &["role", "r0"]), "Primary");
    assert_eq!(bench.adm(1, &["role", "r0"]), "Secondary");
    assert_eq!(bench.adm(0, &["cstate", "r0"]), "Connected");
    assert_eq!(bench.adm(0, &["dstate", "r0"]), "UpToDate/UpToDate");
    assert_eq!(
        bench.adm(1, &["status", "r0"]),
        "r0 role:Secondary\n  disk:UpToDate\n  texts9-1 role:Primary\n    peer-disk:UpToDate"
    );
    bench.adm(0, &["secondary", "r0"]);
}

fn identifiers(bench: &Bench) {
    let gi = bench.adm(0, &["get-gi", "r0"]);
    assert_eq!(bench.adm(1, &["get-gi", "r0"])[..15], gi[..15]);
    has(&bench.adm(0, &["show-gi", "r0"]), &gi[..16]);
}

fn dump(bench: &Bench) {
    has(&bench.adm(0, &["dump", "r0"]), "on texts9-1 {");
    has(&bench.adm(0, &["dump-xml", "r0"]), "<resource name=\"r0\"");
    has(&bench.adm(0, &["hidden-commands"]), "sh-resources");
}

const FOR_SCRIPTS: &[&str] = &[
    "sh-nop",
    "sh-resources",
    "sh-resource",
    "sh-mod-parms",
    "sh-dev",
    "sh-udev",
    "sh-minor",
    "sh-ll-dev",
    "sh-md-dev",
    "sh-md-idx",
    "sh-ip",
    "sh-lr-of",
];

fn for_scripts(bench: &Bench) {
    for (verb, said) in [
        ("sh-nop", ""),
        ("sh-resources", "r0"),
        ("sh-resource", "r0"),
        ("sh-dev", "/dev/drbd0"),
        ("sh-minor", "0"),
        ("sh-ll-dev", "/dev/low0"),
        ("sh-md-dev", "/dev/low0"),
        ("sh-md-idx", "internal"),
        ("sh-ip", "10.77.0.1"),
    ] {
        assert_eq!(bench.adm(0, &[verb, "r0"]), said, "{verb}");
    }
    bench.adm(0, &["sh-mod-parms"]);
    has(&bench.adm(0, &["sh-udev", "r0/0"]), "SYMLINK=drbd/by-res/r0/0");
    has(&text(&bench.try_adm(0, &["sh-lr-of", "r0"])), "only available in stacked mode");
}

fn no_proxy(bench: &Bench) {
    for verb in ["proxy-up", "proxy-down"] {
        let _said = bench.try_adm(0, &[verb, "r0"]);
    }
    bench.mesh.await_up_to_date();
}

/// What the driver calls.
const HANDLERS: &[&str] = &[
    "before-resync-target",
    "after-resync-target",
    "before-resync-source",
    "disconnected",
    "fence-peer",
    "unfence-peer",
    "initial-split-brain",
    "split-brain",
    "local-io-error",
    "out-of-sync",
    "pri-lost",
    "pri-lost-after-sb",
    "pri-on-incon-degr",
    "quorum-lost",
];

/// Each of the driver's verbs runs the handler that is configured for it.
fn handlers(bench: &Bench) {
    let cluster = &bench.mesh.cluster;
    let log = cluster.dir.join("handled");
    let line = |verb: &&str| {
        format!("    {verb} \"echo {verb} $DRBD_RESOURCE $DRBD_CONF >> {}\";\n", log.display())
    };
    let lines: String = HANDLERS.iter().map(line).collect();
    let conf = fs::read_to_string(cluster.conf()).expect("the configuration");
    let conf = conf.replacen("  net {", &format!("  handlers {{\n{lines}  }}\n  net {{"), 1);
    fs::write(cluster.conf(), conf).expect("the configuration");
    for verb in HANDLERS {
        fs::write(&log, "").expect("the log");
        // As the driver calls it.
        bench.adm(1, &[verb, "r0"]);
        let said = fs::read_to_string(&log).expect("the log");
        assert_eq!(said.trim(), format!("{verb} r0 {}", cluster.conf().display()));
    }
}

/// The verbs that `drbdadm` lists, below the heading of each of its lists.
fn listed(help: &str) -> BTreeSet<String> {
    let is_list = |line: &&str| line.starts_with(' ') && !line.trim_start().starts_with('-');
    let verbs = help.lines().filter(is_list).flat_map(str::split_whitespace);
    verbs.map(str::to_owned).collect()
}

#[test]
fn nothing_is_left_out() {
    let Some(mesh) = Mesh::new("help9", two()) else { return };
    let help = mesh.cluster.on(mesh.node(0), &["drbdadm", "help"]);
    let hidden = mesh.cluster.on(mesh.node(0), &["drbdadm", "hidden-commands"]);
    let mut wanted = listed(&text(&help));
    wanted.extend(listed(&text(&hidden)));
    assert!(wanted.len() > 70, "{wanted:?}");
    let themes = [BY_HAND, DATA, OPTIONS, TEXTS];
    let tested: BTreeSet<&str> = themes
        .iter()
        .flat_map(|steps| steps.iter())
        .flat_map(|step| step.verbs.iter().copied())
        .collect();
    let missing: Vec<&String> =
        wanted.iter().filter(|verb| !tested.contains(verb.as_str())).collect();
    assert!(missing.is_empty(), "verbs without a test: {missing:?}");
}
